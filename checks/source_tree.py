"""The syntax tree of a script as flat arrays, for the `source` checks: read, never run.

`parse` is the one place where a stranger's text meets Python's parser, and bounds it. `read` lays the tree
out in the order of the text: the nodes below node i are those from i + 1 up to `ends[i]`, so that no walk
recurses and every walk is linear, however deep the script nests.

Does not catch: what a name means at run time. A name rebound, looked up in a dictionary or made up from
strings is a name like any other here.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

MAX_CHARACTERS = 8_000_000
"""A longer text is not parsed."""

MAX_TOKENS = 300_000
"""A text with more tokens is not parsed: a tree takes up to 2 kB a token, and a script of
100,000 bytes has some 20,000."""

_NEWLINE = re.compile(r"\r\n|\r|\n")

_TOKEN = re.compile(
    r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+(?:""")?'
    r"|'''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+(?:''')?"
    r'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?'
    r"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'?"
    r"|#[^\n]*+|\w++|[^\w\s]",
    re.DOTALL,
)
"""A string, a comment, a word or a sign: enough to count by.

Possessive, and a string need not end, so that no character is looked at more than a few times.
"""

_CHAIN = 8
"""Links of a.b.c or of f(x)[0] that are followed; a bound, so that a walk over all nodes stays linear."""

_STRINGS = 100
"""Nodes that are searched for the strings of one call."""

_FORMATTED = frozenset({"f", "fr", "rf", "t", "tr", "rt"})

_SHARED = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)
"""Nodes that the parser makes once and hangs into many places."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)


def parse(text: str) -> ast.Module | str:
    """Return the tree of `text`, or why there is none, in a few words."""
    if len(text) > MAX_CHARACTERS:
        return f"more than {MAX_CHARACTERS:,} characters"
    if len(text) > MAX_TOKENS and _has_too_many_tokens(text):
        return f"more than {MAX_TOKENS:,} tokens"
    try:
        with warnings.catch_warnings():
            # A stranger's odd escapes are no concern of whoever runs the judge.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        where = "" if error.lineno is None else f" (line {error.lineno})"
        return f"not Python{where}: {str(error.msg)[:100]}"
    except (RecursionError, MemoryError):
        return "nested too deeply"
    except ValueError as error:
        return f"not Python: {str(error)[:100]}"


def _has_too_many_tokens(text: str) -> bool:
    count = 0
    prefix = ""
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        # What stands in the braces of an f-string becomes nodes too; the least of them is "{a}".
        count += (end - start) // 3 if prefix in _FORMATTED and text[start] in "'\"" else 1
        prefix = match.group().lower() if end - start <= 2 else ""
        if count > MAX_TOKENS:
            return True
    return False


def split_lines(text: str) -> list[str]:
    """Return the lines as Python numbers them: a form feed or a U+2028 ends none."""
    return _NEWLINE.split(text)


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed text: nodes in the order of the text, with the parent and the end of each.

    `parents[0]` is -1. `imports` maps a name to the dotted name that it was imported as; `calls` and
    `functions` are the indices of those nodes.
    """

    lines: tuple[str, ...]
    nodes: tuple[ast.AST, ...]
    parents: tuple[int, ...]
    ends: tuple[int, ...]
    index: dict[int, int]
    """id of a node -> its index; valid while `nodes` holds them."""
    imports: dict[str, str]
    functions: tuple[int, ...]
    calls: tuple[int, ...]

    def at(self, node: ast.AST) -> int:
        """Return the index of a node of this tree."""
        return self.index[id(node)]

    def below(self, i: int) -> range:
        """Return the indices of node i and of all below it."""
        return range(i, self.ends[i])

    def line(self, i: int) -> int:
        """Return the line of node i, from 1; a node without one has that of what it stands in."""
        while i > 0:
            number = getattr(self.nodes[i], "lineno", None)
            if isinstance(number, int):
                return min(max(number, 1), len(self.lines))
            i = self.parents[i]
        return 1

    def above(self, i: int) -> list[int]:
        """Return the indices of what node i stands in, innermost first."""
        found = []
        i = self.parents[i]
        while i >= 0:
            found.append(i)
            i = self.parents[i]
        return found

    def following(self, i: int) -> list[int]:
        """Return the statements after statement i in the same body."""
        parent = self.nodes[self.parents[i]]
        for name in ("body", "orelse", "finalbody"):
            body = getattr(parent, name, None)
            if isinstance(body, list) and self.nodes[i] in body:
                return [self.at(child) for child in body[body.index(self.nodes[i]) + 1 :]]
        return []

    def qualified(self, node: ast.AST) -> str:
        """Return the dotted name of an expression with imports resolved; "" if it is none."""
        name = dotted(node)
        first, dot, rest = name.partition(".")
        return self.imports.get(first, first) + dot + rest


def read(text: str) -> Tree | str:
    """Return the tree of `text` laid out flat, or why there is none."""
    module = parse(text)
    if isinstance(module, str):
        return module
    nodes: list[ast.AST] = []
    parents: list[int] = []
    ends: list[int] = []
    # A pair (None, i) closes node i: everything below it has been laid out by then.
    stack: list[tuple[ast.AST | None, int]] = [(module, -1)]
    while stack:
        node, where = stack.pop()
        if node is None:
            ends[where] = len(nodes)
            continue
        i = len(nodes)
        nodes.append(node)
        parents.append(where)
        ends.append(i + 1)
        stack.append((None, i))
        children = [c for c in ast.iter_child_nodes(node) if not isinstance(c, _SHARED)]
        stack.extend((child, i) for child in reversed(children))
    return Tree(
        lines=tuple(split_lines(text)),
        nodes=tuple(nodes),
        parents=tuple(parents),
        ends=tuple(ends),
        index={id(node): i for i, node in enumerate(nodes)},
        imports=_imports(nodes),
        functions=tuple(i for i, node in enumerate(nodes) if isinstance(node, FUNCTIONS)),
        calls=tuple(i for i, node in enumerate(nodes) if isinstance(node, ast.Call)),
    )


def _imports(nodes: list[ast.AST]) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def dotted(node: ast.AST) -> str:
    """Return "a.b.c" for a name and its attributes, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _CHAIN:
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def last_name(node: ast.AST) -> str:
    """Return the last part of a name, of an attribute or of what a subscript or a call hangs on; or ""."""
    for _ in range(_CHAIN):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Subscript | ast.Starred):
            node = node.value
        else:
            break
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def words(name: str) -> frozenset[str]:
    """Return the words of an identifier in lower case: `has_SpaceLUT2` -> has, space, lut, 2."""
    return frozenset(word.lower() for word in _WORD.findall(name[:200]))


def target_names(target: ast.AST) -> list[ast.expr]:
    """Return the names, attributes and subscripts that an assignment's target stores into."""
    found: list[ast.expr] = []
    stack = [target]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Tuple | ast.List):
            stack.extend(reversed(node.elts))
        elif isinstance(node, ast.Starred):
            stack.append(node.value)
        elif isinstance(node, ast.expr):
            found.append(node)
    return found


def strings(tree: Tree, i: int) -> list[str]:
    """Return the first string constants at and below node i, each cut at 1,000 characters."""
    found = []
    for j in tree.below(i)[:_STRINGS]:
        node = tree.nodes[j]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value[:1000])
    return found
