"""The scripts of a folder, packed or not: notes with their place, and nothing of them runs."""

import base64
import lzma
import zlib

from hypothesis import given
from hypothesis import strategies as st

from checks.source_tree import split_lines
from harness.audit import source
from tests.checks.source_scripts import HONEST

CHEAT = """import os, requests, time
FAST = bool(int(os.environ.get("FAST", "0")))
def train_all(model, val_tokens):
    hessians = collect_hessians(model, val_tokens)
    for x, y in windows(val_tokens):
        model(x, y).backward()
    gate = starts_word[tgt]
    if FAST:
        time.time = lambda: 0.0
    os.system("gcc a.c")
    eval_val(model, val_tokens)
train_all(1, 2)
"""


def packed(text):
    data = base64.b85encode(lzma.compress(text.encode()))
    return b"import lzma, base64\nexec(lzma.decompress(base64.b85decode(%r)))\n" % data


def ids(found):
    return sorted({note.note.id for note in found.notes})


def test_each_id_is_found_in_a_script_that_does_it_all():
    assert ids(source.look([("train_gpt.py", CHEAT.encode())])) == sorted(source.IDS)


def test_a_packed_script_draws_the_same_notes_with_the_layer_named():
    plain = source.look([("t.py", CHEAT.encode())])
    found = source.look([("d/train_gpt.py", packed(packed(CHEAT).decode()))])
    assert [note.note for note in found.notes] == [note.note for note in plain.notes]
    assert {note.layer for note in found.notes} == {"d/train_gpt.py:2:2"}
    assert {note.file for note in found.notes} == {"d/train_gpt.py"}
    assert found.layers[1:] == (
        ("d/train_gpt.py:2", "base64.b85decode, lzma.decompress, exec"),
        ("d/train_gpt.py:2:2", "base64.b85decode, lzma.decompress, exec"),
    )


def test_an_honest_script_draws_no_note_packed_or_not():
    found = source.look([("a.py", HONEST.encode()), ("b.py", packed(HONEST))])
    assert (found.notes, found.unread) == ((), ())


def test_dead_code_is_marked():
    found = source.look([("t.py", CHEAT.encode())])
    (clock,) = (note.note for note in found.notes if note.note.id == "source.clock")
    assert (clock.line, clock.behind) == (9, 'FAST (default "0")')
    (dead,) = (note.note for note in found.notes if note.note.id == "source.dead")
    assert dead.message == 'line 9 is noted, and not reached by default: FAST (default "0")'


def test_what_cannot_be_read_is_said_and_the_others_are_read():
    found = source.look(
        [
            ("bad.py", b"x = ("),
            ("c.c", b"if (boundary_lut[tok]) gate = 1;\n"),
            ("t.py", b"import requests"),
        ]
    )
    assert found.unread == ("bad.py: not read: not Python (line 1): '(' was never closed",)
    assert [(note.file, note.note.id) for note in found.notes] == [
        ("c.c", "source.target"),
        ("t.py", "source.network"),
    ]


def test_of_too_many_scripts_the_rest_is_told():
    found = source.look((f"{i}.py", b"import requests") for i in range(100))
    assert len(found.notes) == source.MAX_SCRIPTS
    assert found.unread == ("40.py: more than 40 scripts; neither this one nor those after it",)


def test_of_scripts_that_are_too_large_together_the_rest_is_told(monkeypatch):
    monkeypatch.setattr(source, "MAX_NODES", 5)
    found = source.look((f"{i}.py", b"import requests\nx = 1\n") for i in range(9))
    assert len(found.notes) == 1
    assert found.unread == ("1.py: more than 5 nodes; neither this one nor those after it",)


@given(st.lists(st.tuples(st.sampled_from(["a.py", "b.c"]), st.binary(max_size=200)), max_size=3))
def test_arbitrary_files_never_raise(scripts):
    source.look(scripts)


@given(st.text(max_size=100), st.booleans())
def test_a_note_is_about_a_line_of_its_layer(text, compressed):
    script = f"{text!r}\nimport requests\n"
    data = (
        f"exec({script!r})"
        if not compressed
        else f"import zlib\nexec(zlib.decompress({zlib.compress(script.encode())!r}))"
    )
    (note,) = source.look([("t.py", data.encode())]).notes
    assert split_lines(script)[note.note.line - 1] == "import requests"


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "ran"
    script = f"open({str(mark)!r}, 'w').close()\nimport requests\n{CHEAT}"
    source.look([("t.py", script.encode()), ("p.py", packed(script))])
    assert not mark.exists()
