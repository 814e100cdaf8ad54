"""In which line of submission.toml something stands, by its text alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ManifestError
from harness.manifest import parse
from harness.preflight.manifest_place import line_in, line_of

GOOD = """\
schema = 1
name = "mine"
package = "mine"

[train]
command = ["python", "train.py"]

[artifact]
code = [
  "a.py",
  "b.py",
]
output = ["w.bin"]

[score]
command = ["python", "score.py"]
block_tokens = 64
env = { A = "1" }
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("schema", 1), ("name", 2), ("train.command", 6), ("artifact.code", 9), ("artifact.output", 13),
        ("score", 15), ("score.block_tokens", 17), ("score.predict", 15), ("train.env", 5), ("nothing", 0),
        ("other.thing", 0),
    ],
)  # fmt: skip
def test_where_a_field_stands(field, line):
    assert line_of(GOOD, field) == line


def test_dotted_keys_and_inline_tables_are_found_too():
    text = 'schema = 1\nscore.predict = false\ntrain = { command = ["a"] }\n'
    assert line_of(text, "score.predict") == 2
    assert line_of(text, "train.command") == 3


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("block_tokens = 64", "block_tokens = 0", 17),
        ("block_tokens = 64", "blok_tokens = 64", 17),
        ("block_tokens = 64", "block_tokens = 64\nblok = 1", 18),
        ("name =", "nmae =", 2),
        ("schema = 1", "schema = 2", 1),
        ('["python", "train.py"]', "[]", 6),
        ('["python", "train.py"]', "'python'", 6),
        ('  "b.py",', '  "../b.py",', 11),
        ('["w.bin"]', '["w.bin", "w.bin"]', 13),
        ('package = "mine"', 'package = "a b"', 3),
        ('{ A = "1" }', '{ HARNESS_A = "1" }', 18),
        ("[score]", "[score", 15),
        ('name = "mine"', 'name = "mine', 2),
    ],
)
def test_where_the_sentence_of_a_refusal_points(old, new, line):
    assert GOOD.count(old) == 1 or old == '["python", "train.py"]'
    text = GOOD.replace(old, new)
    with pytest.raises(ManifestError) as refused:
        parse(text, "submission.toml")
    assert line_in(text, str(refused.value)) == line


def test_a_code_file_that_is_missing():
    said = "submission.toml: artifact.code names 'b.py', but b.py is not a file; add the file"
    assert line_in(GOOD, said) == 11


@given(text=st.text(), problem=st.text())
def test_any_words_give_a_line_of_the_text_or_none(text, problem):
    assert 0 <= line_in(text, problem) <= text.count("\n") + 1


@given(field=st.sampled_from(["train.command", "score.block_tokens", "name"]), text=st.text())
def test_any_text_is_searched(field, text):
    assert 0 <= line_of(text, field) <= text.count("\n") + 1
