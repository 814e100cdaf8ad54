"""submission.toml: what is read is what was written, and everything else gets a sentence."""

import contextlib
import json
import string
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import manifest
from harness.errors import EXIT_USAGE, ManifestError
from harness.manifest import path_problem

GOOD = {
    "schema": 1,
    "name": "Mine",
    "train": {"command": ["python", "train.py"]},
    "artifact": {"code": ["score.py"], "output": ["weights.bin"]},
    "score": {"command": ["python", "score.py"], "block_tokens": 1024},
}


def toml(value, path=()) -> str:
    """Return plain data as TOML; JSON's strings, numbers, arrays and inline tables are TOML's."""
    lines = [
        f"{json.dumps(key, ensure_ascii=False)} = {_inline(inner)}" for key, inner in value.items()
    ]
    return "\n".join(lines)


def _inline(value) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(
                f"{json.dumps(k, ensure_ascii=False)} = {_inline(v)}" for k, v in value.items()
            )
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def changed(path, value):
    """Return GOOD with one field set, or taken away where `value` is None."""
    new = json.loads(json.dumps(GOOD))
    place = new
    *outer, last = path.split(".")
    for part in outer:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return new


def refused(text) -> str:
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text, "my/submission.toml")
    message = str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE
    assert message.startswith("my/submission.toml: ")
    assert "\n" not in message
    return message


def test_a_manifest_with_its_defaults():
    mine = manifest.parse(toml(GOOD), "x")
    assert mine.train.command == ("python", "train.py")
    assert mine.artifact.code == ("score.py",)
    assert (mine.package, mine.authors, mine.summary, mine.train.env) == ("", (), "", {})
    assert mine.score.predict is True
    assert mine.code_place("a/b.py") == "a/b.py"
    assert manifest.parse(toml(changed("package", "p")), "x").code_place("a.py") == "p/a.py"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("scor", {}, "unknown field `scor`; did you mean `score`?"),
        ("score.blocktokens", 5, "unknown field `blocktokens` - at `$.score`; did you mean `block_tokens`?"),
        ("train.comand", ["x"], "did you mean `command`?"),
        ("artifact.outputs", ["x"], "did you mean `output`?"),
        ("zzzzzz", 1, "known fields are "),
        ("schema", 2, "schema"),
        ("schema", None, "missing required field `schema`"),
        ("name", "", "name"),
        ("name", "x" * 101, "name"),
        ("score", None, "missing required field `score`"),
        ("score.block_tokens", 0, "$.score.block_tokens"),
        ("score.block_tokens", (1 << 24) + 1, "$.score.block_tokens"),
        ("score.block_tokens", "5", "$.score.block_tokens"),
        ("score.block_tokens", True, "$.score.block_tokens"),
        ("score.command", [], "$.score.command"),
        ("score.command", [""], "$.score.command"),
        ("score.command", "python x", "$.score.command"),
        ("train.command", ["a\0b"], "train: a NUL character"),
        ("train.env", {"A": "x\0"}, "train: a NUL character"),
        ("train.env", {"A": "x" * 20_000}, "train: command and env take more than 16384 bytes"),
        ("score.command", ["é" * 4096] * 3, "score: command and env take more than 16384 bytes"),
        ("train.env", {"1A": "x"}, "train.env: '1A' is not a name"),
        ("score.env", {"A=B": "x"}, "score.env: 'A=B' is not a name"),
        ("score.env", {"A\n": "x"}, "is not a name"),
        ("score.env", {"HARNESS_X": "x"}, "'HARNESS_X' is not a name a submission may set; rename it"),
        ("package", "a/b", "package 'a/b' is not a Python name; use one"),
        ("package", "..", "is not a Python name"),
        ("package", "包" * 100, "is too long; use a short plain name"),
        ("artifact.code", ["a.py", "a.py"], "artifact.code: 'a.py' is named twice; name it once"),
        ("artifact.output", ["score.py"], "'score.py' would lie where code 'score.py' does; rename one"),
        (
            "artifact.output",
            ["w", "w/x"],
            "output 'w/x' needs a folder where output 'w' would lie; rename one",
        ),
        ("artifact.output", ["score.py/x"], "needs a folder where code 'score.py' would lie"),
        ("artifact.output", ["../x"], "artifact.output: '../x' leaves its folder; name a file inside it"),
        ("artifact.code", ["/etc/passwd"], "artifact.code: '/etc/passwd' leaves its folder"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_remedy(path, value, says):
    assert says in refused(toml(changed(path, value)))


def test_a_package_moves_code_and_can_collide_with_output():
    told = changed("package", "p")
    told["artifact"] = {"code": ["a"], "output": ["p/a"]}
    assert "'p/a' would lie where code 'a' does" in refused(toml(told))
    told["artifact"] = {"code": ["a"], "output": ["p"]}
    assert "code 'a' needs a folder where output 'p' would lie" in refused(toml(told))
    told["artifact"] = {"code": ["a"], "output": ["a"]}
    assert manifest.parse(toml(told), "x").package == "p"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "/x", "../x", "x/..", "x/../y", "./x", "x/", "x//y", "x/./y", "a\\b", "a\nb",
     "a\x00b", "a\x1b[31mb", "\u202eb", "x" * 256, "é" * 128],
)  # fmt: skip
def test_names_that_escape_or_deceive_are_refused(name):
    assert path_problem(name) is not None


@given(st.lists(st.text(string.ascii_letters + " _-.é", min_size=1), min_size=1, max_size=4))
def test_a_name_that_is_allowed_stays_below_its_folder(parts):
    name = "/".join(parts)
    if path_problem(name) is None:
        assert not name.startswith("/")
        assert not {"", ".", ".."} & set(name.split("/"))
        assert len(name.encode()) <= 255
    else:
        assert {"", ".", ".."} & set(parts) or len(name.encode()) > 255


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 1 << 25)
    | st.floats(allow_nan=True)
    | st.text(max_size=8)
    | st.sampled_from(["score.py", "..", "\0", "a/b", "score.py/x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [
    "schema", "name", "train", "train.command", "train.env", "artifact", "artifact.code",
    "artifact.output", "score", "score.command", "score.block_tokens", "score.predict", "score.env",
    "package", "authors", "summary", "other", "train.other",
]  # fmt: skip


@given(st.sampled_from(FIELDS), json_values)
@settings(max_examples=150)
def test_any_value_anywhere_is_read_or_refused_in_one_sentence(path, value):
    """No value of a manifest leads to anything but a Manifest or a ManifestError."""
    if value is None:
        value = {}
    try:
        text = toml(changed(path, value))
    except TypeError:
        return
    with contextlib.suppress(ManifestError):
        assert manifest.parse(text, "m").name


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_sentence(text):
    with pytest.raises(ManifestError):
        manifest.parse(text, "m")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + "[" * 5000, "not TOML: "),
        ("a = " + "{a=" * 5000, "not TOML: "),
        ("schema = " + "1" * 4301, "not TOML: Exceeds the limit (4300 digits)"),
        ("#" * (64 << 10) + "\n", "more than 65536 bytes; put what is long into a file"),
        ("a" + ".a" * 257 + " = 1", "more than 256 dots in one line; break the line"),
        ('"\u2028"' + '."\u2028"' * 257 + " = 1", "more than 256 dots in one line; break the line"),
    ],
    ids=["array", "table", "number", "long", "key", "key with line separators"],
)
def test_what_would_exhaust_the_parser_is_refused_in_one_sentence(text, says):
    assert says in refused(text)


def test_the_longest_manifest_takes_little_memory():
    """The worst that fits: keys of as many parts as one line may have, on every line."""
    lines = [f"a{number}" + ".a" * 256 + "=1" for number in range(120)]
    tracemalloc.start()
    try:
        refused("\n".join(lines))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["é" * 40_000, "x" * 70_000], ids=["cut inside a letter", "plain"])
def test_of_a_file_without_an_end_only_the_beginning_is_read(tmp_path, name):
    (tmp_path / "submission.toml").write_text(f"name = '{name}'", "utf-8")
    with pytest.raises(ManifestError, match="more than 65536 bytes"):
        manifest.load(tmp_path)
    (tmp_path / "submission.toml").unlink()
    (tmp_path / "submission.toml").symlink_to("/dev/zero")
    with pytest.raises(ManifestError, match="more than 65536 bytes"):
        manifest.load(tmp_path)


def test_files_that_cannot_be_read_get_a_sentence(tmp_path):
    with pytest.raises(
        ManifestError, match=r"no such file; a submission is a folder with a submission\.toml"
    ):
        manifest.load(tmp_path / "absent")
    (tmp_path / "submission.toml").mkdir()
    with pytest.raises(ManifestError, match="Is a directory; make it a readable text file"):
        manifest.load(tmp_path)
    (tmp_path / "submission.toml").rmdir()
    (tmp_path / "submission.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="not UTF-8 text; make it a readable text file"):
        manifest.load(tmp_path)


def test_declared_code_must_be_there(tmp_path):
    (tmp_path / "submission.toml").write_text(toml(GOOD))
    with pytest.raises(
        ManifestError, match=r"artifact\.code names 'score\.py', but .* is not a file; add"
    ):
        manifest.load(tmp_path)
    (tmp_path / "score.py").write_text("")
    assert manifest.load(tmp_path).name == "Mine"


def test_the_manifest_itself_is_not_its_folder(tmp_path):
    (tmp_path / "submission.toml").write_text("schema = 1\n")
    with pytest.raises(ManifestError, match=r"submission.toml: is a file; name the folder"):
        manifest.load(tmp_path / "submission.toml")
