"""What all `source` checks share: bounds, lines, and that nothing a stranger writes makes them raise."""

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import (
    source_clock,
    source_dead,
    source_network,
    source_note,
    source_order,
    source_process,
    source_target,
    source_tree,
    source_validation,
)
from tests.checks.source_scripts import HONEST

CHECKS = (
    source_target,
    source_order,
    source_validation,
    source_network,
    source_process,
    source_clock,
)
STATEMENTS = st.sampled_from(
    [
        "import time, requests as r, subprocess",
        "from time import perf_counter",
        "val_tokens = tgt = y",
        "x, y = val_tokens[i], val_tokens[i + 1]",
        "loss_sum += model(x)",
        "model(x).backward()",
        "gate = boundary[tgt]",
        "key = (h ^ tgt) % n",
        "p = counts[key] / total",
        "time.time = f",
        "t0 += time.time()",
        "subprocess.run(['gcc'])",
        "r.get('u')",
        "flag = bool(int(os.environ.get('FLAG', '0')))",
        "adapt(val_tokens)",
        "train_loader = L(args.val_files)",
        "return x",
        "continue",
        "x: int",
        "*a, b = c",
        "del x[0]",
        "f(*x, **y)",
    ]
)
HEADS = st.sampled_from(
    [
        "if flag:",
        "for i, tok in enumerate(tokens):",
        "for epoch in range(epochs):",
        "while True:",
        "def adapt(tokens, *a, k=1):",
        "class A:",
        "with torch.no_grad() as g:",
        "try:",
        "else:",
        "async def calibrate():",
        "match x:",
    ]
)


@st.composite
def scripts(draw, depth=0):
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        if depth < 3 and draw(st.booleans()):
            head = draw(HEADS)
            inner = draw(scripts(depth=depth + 1))
            lines.append(head)
            lines += [f"    {line}" for line in inner.split("\n")]
            if head == "try:":
                lines.append("finally:\n    pass")
        else:
            lines.append(draw(STATEMENTS))
    return "\n".join(lines)


def all_notes(source):
    found = [note for check in CHECKS for note in check.check(source)]
    return [*found, *source_dead.check(found)]


@given(st.one_of(scripts(), st.text(max_size=200)))
def test_no_text_makes_a_check_raise_and_each_note_is_about_a_line_of_it(text):
    source = source_note.read(text)
    if isinstance(source, str):
        return
    lines = source_tree.split_lines(text)
    for note in all_notes(source):
        assert note.text == lines[note.line - 1].strip()[:200]
        assert note.id in {check.ID for check in (*CHECKS, source_dead)}
        assert note.message


@given(scripts())
def test_the_layout_agrees_with_a_walk_that_recurses(text):
    tree = source_tree.read(text)
    if isinstance(tree, str):
        return
    for i, node in enumerate(tree.nodes):
        shared = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
        below = [n for n in ast.walk(node) if not isinstance(n, shared)]
        assert {tree.at(n) for n in below} == set(tree.below(i))
        assert i == 0 or node in ast.iter_child_nodes(tree.nodes[tree.parents[i]])


def test_an_honest_script_draws_no_note_at_all():
    assert all_notes(source_note.read(HONEST)) == []


def test_lines_are_counted_as_python_counts_them():
    text = "x = 1\f\r\ny = '\u2028'\rimport requests\n"
    (note,) = source_network.check(source_note.read(text))
    assert (note.line, note.text) == (3, "import requests")


def test_many_notes_are_cut_and_counted_and_reached_lines_come_first():
    text = "import requests\nif False:\n" + "    requests.get(u)\n" * 30 + "requests.get(u)\n" * 5
    notes = source_network.check(source_note.read(text))
    assert len(notes) == source_note.MOST + 1
    assert notes[-1].message == "16 more of source.network, the first of them here"
    assert [note.line for note in notes if not note.behind] == [1, 33, 34, 35, 36, 37]
    (long,) = source_network.check(source_note.read("import requests" + "#" * 500))
    assert len(long.text) == 200


def test_words_of_a_name():
    assert source_tree.words("has_SpaceLUT2") == {"has", "space", "lut", "2"}
    assert source_tree.words("AdamW.step") == {"adam", "w", "step"}


FLAG = "f0 = bool(int(os.environ.get('F', '0')))\n"
ADVERSARIES = {
    "flags that double": FLAG
    + "".join(f"f{i} = f{i - 1} or f{i - 1}\n" for i in range(1, 2000))
    + "if f1999:\n a()\n",
    "many statements": "a\n" * 140_000,
    "nested calls": ("f(" * 40 + "val_tokens" + ")" * 40 + "\n") * 3_000
    + "def f(x):\n x.backward()\n",
    "long chains": ("val_tokens" + ".patch('a')" * 900 + "\n") * 60,
    "marks in a chain": "def calibrate():\n" + (" x(a" + ".val_tokens" * 900 + ")\n") * 150,
    "an endless elif": "if boundary[tgt]:\n gate = 1\n"
    + "elif boundary[tgt]:\n gate = 1\n" * 1_400,
    "many epochs": "for epoch in e:\n"
    + " loss_sum += val_tokens\n" * 20_000
    + " val_tokens.backward()\n" * 9_000,
    "deep blocks": "".join(" " * i + "for epoch in e:\n" for i in range(19))
    + (" " * 19 + "eval(val_tokens)\n") * 20_000,
    "many returns": "def f():\n" + " if False:\n  pass\n else:\n  return\n" * 14_000,
    "many functions": "".join(
        f"def f{i}(val_tokens):\n f{i + 1}(val_tokens)\n" for i in range(14_000)
    ),
    "keys in keys": "k = (h ^ tgt) % n\n" + "k = (k ^ tgt) % n; p = c[k] / t[k]\n" * 12_000,
    "names given to many": "=".join(["a"] * 100_000) + "= boundary[tgt]",
    "one long string": f"c = '''{'boundary_lut[tok]; ' * 300_000}'''",
}


@pytest.mark.parametrize("name", ADVERSARIES)
def test_the_time_for_an_adversary_is_bounded(name):
    start = time.monotonic()
    source = source_note.read(ADVERSARIES[name])
    assert isinstance(source, str) or all_notes(source) is not None
    assert time.monotonic() - start < 90
