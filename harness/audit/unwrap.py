"""The layers of a packed script: what it would run, found by reading. Nothing is run, imported or unpickled.

247 of 1,751 heads of the contest pack their script (#1394, #1413, #1804): `exec(lzma.decompress(...))` of a
literal. `unwrap` looks for exec and eval in the syntax tree, works out their argument where it is made of
literals (`harness.audit.literal` says how), and reads the text that comes out in the same way. A text that a
script decompresses and does not visibly run is a layer too: it may be written to a file that is run.

Bounds: a layer of 8 MB, 8 layers, 50 notes; `literal` bounds the work of decoding. What is beyond them, or is
not a literal, is said in a note and never raised.

Does not catch: a payload behind a loop, an xor or a file; names made up at run time; C in strings, of which
only the line is told.
"""

from __future__ import annotations

import ast
import codecs
import re
from dataclasses import dataclass, field

from checks.source_tree import MAX_CHARACTERS, Tree, parse, read, strings
from harness.audit.decode import Unknown
from harness.audit.literal import Literals, Work

MAX_LAYERS = 8
MAX_NOTES = 50

_UNSEEN = "not seen to be run"

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]{1,40})", re.ASCII)
_ENCODINGS = frozenset({"utf-8", "iso8859-1", "cp1252", "ascii", "iso8859-15"})
"""What a script may say it is in. Other codecs can take quadratic time or are no text."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_C = re.compile(r"#\s*include\s*[<\"]|\b__global__\b|\bvoid\s+\w+\s*\(")
_RUNS = frozenset(
    {"exec", "eval", "builtins.exec", "builtins.eval", "__builtins__.exec", "__builtins__.eval"}
)
_FILES = frozenset({"runpy.run_path", "runpy.run_module", "execfile"})
_OPAQUE = frozenset({"marshal.loads", "marshal.load", "dill.loads", "cloudpickle.loads"})


@dataclass(frozen=True, slots=True)
class Layer:
    """One text. `how` names the steps that lead to it, `line` the line in the parent layer; of the file 0.

    `name` is the file's name, with ":LINE" for each step down.
    """

    name: str
    text: str
    how: str
    line: int


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The layers of a script, the file itself first, and what could not be unwrapped."""

    layers: tuple[Layer, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _State:
    layers: list[Layer]
    notes: list[str] = field(default_factory=list)
    unsaid: int = 0
    work: Work = field(default_factory=Work)

    def say(self, note: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(note)
        else:
            self.unsaid += 1


def unwrap(name: str, data: bytes) -> Unwrapped:
    """Return the layers of a script. `name` is only repeated; it need not exist."""
    text, problem = text_of(data[: 4 * MAX_CHARACTERS])
    state = _State([Layer(name, text, "as it is", 0)])
    if problem:
        state.say(f"{name}: {problem}")
    for place in range(MAX_LAYERS):
        if place >= len(state.layers):
            break
        _look(state, state.layers[place])
    if state.unsaid:
        state.notes.append(f"{name}: {state.unsaid:,} more notes")
    return Unwrapped(tuple(state.layers), tuple(state.notes))


def text_of(data: bytes) -> tuple[str, str]:
    """Return the text of a script's bytes as Python reads them, and what was odd about them ("" if nothing).

    A byte order mark goes first, then the line that names a coding (PEP 263), then UTF-8. Bytes that do not
    fit are kept visible as escapes.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = data.removeprefix(codecs.BOM_UTF8).decode(
                encoding, "backslashreplace" if encoding == "utf-8" else "replace"
            )
            return (
                text,
                "" if encoding == "utf-8" else f"encoded in {encoding}, which Python does not run",
            )
    encoding, problem = _declared(data)
    try:
        return data.decode(encoding), problem
    except UnicodeDecodeError as error:
        return data.decode(
            encoding, "backslashreplace"
        ), problem or f"not {encoding} at byte {error.start:,}"


def _declared(data: bytes) -> tuple[str, str]:
    for line in data[:1000].splitlines()[:2]:
        match = _COOKIE.match(line)
        if match:
            named = match[1].decode("ascii")
            try:
                encoding = codecs.lookup(named).name
            except LookupError:
                return "utf-8", f"names an unknown coding, {named}; read as UTF-8"
            if encoding in _ENCODINGS:
                return encoding, ""
            return "utf-8", f"names the coding {named}; read as UTF-8"
        if line.strip() and not line.lstrip().startswith(b"#"):
            break
    return "utf-8", ""


def _look(state: _State, layer: Layer) -> None:
    """Add what one layer would run to the layers, the longest first."""
    tree = read(layer.text)
    if isinstance(tree, str):
        state.say(f"{layer.name}: not read: {tree}")
        return
    literals = Literals(tree, state.work)
    found: dict[str, tuple[int, str]] = {}
    covered = 0
    for i in tree.calls:
        node = tree.nodes[i]
        assert isinstance(node, ast.Call)
        led_to = _called(state, layer, literals, node, i < covered)
        # The steps within an expression that came apart are no layers of their own.
        covered = max(covered, tree.ends[i]) if led_to else covered
        for line, how, text in led_to:
            # What is decompressed into a name and run by that name is one layer.
            if text not in found or found[text][1].endswith(_UNSEEN):
                found[text] = (line, how)
    _tell_of_c(state, layer, tree)
    for text, (line, how) in sorted(found.items(), key=lambda entry: -len(entry[0])):
        if len(state.layers) >= MAX_LAYERS:
            state.say(f"{layer.name}: line {line}: more than {MAX_LAYERS} layers; not unwrapped")
        else:
            state.layers.append(Layer(f"{layer.name}:{line}", text, how, line))


def _called(
    state: _State, layer: Layer, literals: Literals, node: ast.Call, is_step: bool
) -> list[tuple[int, str, str]]:
    """Return the layers that one call leads to, as (line, how, text), and note what cannot be followed."""
    tree = literals.tree
    name = literals.name(node.func)
    line = tree.line(tree.at(node))
    where = f"{layer.name}: line {line}"
    if name in _RUNS and node.args:
        return _run(state, layer, literals, node.args[0], name.rpartition(".")[2], line)
    if name in _FILES:
        told = [text[:80] for text in strings(tree, tree.at(node))]
        state.say(f"{where}: {name} of {told[0] if told else 'a name made up at run time'}")
    elif name in _OPAQUE:
        state.say(f"{where}: {name}: what it loads is not text and is not read")
    elif not is_step and literals.decompresses(node):
        return _hidden(literals, node, line)
    return []


def _run(
    state: _State, layer: Layer, literals: Literals, argument: ast.expr, verb: str, line: int
) -> list[tuple[int, str, str]]:
    where = f"{layer.name}: line {line}"
    try:
        value, steps = literals.value(argument)
    except Unknown as why:
        state.say(f"{where}: {verb} of something that is not a literal: {why}")
        return []
    if isinstance(value, bytes):
        text, problem = text_of(value)
        if problem:
            state.say(f"{where}: {verb}: {problem}")
    elif isinstance(value, str):
        text = value
    else:
        state.say(f"{where}: {verb} of neither text nor bytes")
        return []
    if len(text) > MAX_CHARACTERS:
        state.say(f"{where}: {verb} of more than {MAX_CHARACTERS:,} characters; not kept")
        return []
    return [(line, ", ".join([*steps, verb]), text)]


def _hidden(literals: Literals, node: ast.Call, line: int) -> list[tuple[int, str, str]]:
    """Return a decompressed literal that is a script by its look, although nothing here seems to run it."""
    try:
        value, steps = literals.value(node)
        text = value.decode("utf-8") if isinstance(value, bytes) else ""
    except (Unknown, UnicodeDecodeError):
        return []
    if not re.search(r"^[ \t]*+(?:import|from|def|class) ", text[:100_000], re.MULTILINE):
        return []
    if isinstance(parse(text), str):
        return []
    return [(line, ", ".join([*steps, _UNSEEN]), text)]


def _tell_of_c(state: _State, layer: Layer, tree: Tree) -> None:
    for i, node in enumerate(tree.nodes):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and len(value) > 200 and _C.search(value[:20_000]):
            count = value.count("\n") + 1
            state.say(
                f"{layer.name}: line {tree.line(i)}: {count} lines of C in a string; not read"
            )
