"""The import statements of one script, read from its syntax tree: never imported, never run.

Told apart are imports at the top of a file, which are reached whenever the file is, and all others: in a
function, a class, a `try`, a `with`, behind a condition. Does not resolve anything: see lookup.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from checks.source_tree import dotted, parse

NOT_PYTHON = "not Python"
"""How `parse` begins where Python itself would refuse the text."""

_LOOKUP = re.compile(
    r"sys\.(?:path|meta_path|modules|path_hooks|path_importer_cache)\b.*"
    r"|__import__|exec|eval|builtins\.(?:__import__|exec|eval)|site\.addsitedir"
    r"|os\.(?:system|popen|exec\w*|spawn\w*|posix_spawn\w*|chdir|fork\w*)"
)
_LOOKUP_MODULES = re.compile(
    r"(?:importlib|pkgutil|imp|zipimport|runpy|subprocess|pyximport|cffi|setuptools|distutils|Cython|pip"
    r"|torch\.utils\.cpp_extension)(?:\..*)?"
)
"""What changes where modules are looked for, or may make one: then nobody can tell by reading."""

_CUDA = re.compile(r"\bcuda\b|\bnccl\b", re.IGNORECASE)
_HIDDEN_PLACES = re.compile(r"globals|__path__|vars|locals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One name that an import asks for."""

    module: str
    """Dotted, without the leading dots of a relative import; "" for `from . import x`."""
    names: tuple[str, ...]
    """What a `from` import takes out of it; () for a plain `import`."""
    level: int
    """Leading dots: 0 is absolute."""
    line: int
    top: bool
    """Whether it stands at the top of the file, where it is reached whenever the file is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What reading one file shows."""

    statements: tuple[Statement, ...]
    bound: frozenset[str]
    """Names that the file gives a value somewhere."""
    open_names: bool
    """Whether it may have names beyond `bound`: star imports, `__getattr__`, `globals()`."""
    changes_lookup: int
    """First line that changes where modules come from, or runs a program; 0 where none does."""
    cuda: int
    """First line that speaks of CUDA; 0 where none does."""


def read_script(text: str) -> Script | str:
    """Return what one file imports, or why that cannot be told.

    The reason begins with NOT_PYTHON where Python would refuse the file as well.
    """
    module = parse(text)
    if isinstance(module, str):
        return module
    statements: list[Statement] = []
    bound: set[str] = set()
    open_names, changes_lookup, cuda = False, 0, 0
    at_top = {id(node) for node in module.body}
    prose = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        line = getattr(node, "lineno", 0)
        changes = False
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = list(_statements(node, top=id(node) in at_top))
            statements += found
            open_names |= any("*" in each.names for each in found)
            changes = any(map(_changes_lookup, found))
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node)
            changes = bool(_LOOKUP.fullmatch(name))
            open_names |= bool(_HIDDEN_PLACES.fullmatch(name))
        if changes and not changes_lookup:
            changes_lookup = line
        if not cuda and id(node) not in prose and _speaks_of_cuda(node):
            cuda = line
        for name in _bound(node):
            bound.add(name)
            open_names |= name == "__getattr__"
    statements.sort(key=lambda each: each.line)
    return Script(
        statements=tuple(statements),
        bound=frozenset(bound),
        open_names=open_names,
        changes_lookup=changes_lookup,
        cuda=cuda,
    )


def _statements(node: ast.Import | ast.ImportFrom, *, top: bool) -> Iterator[Statement]:
    if isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield Statement(
            module=node.module or "", names=names, level=node.level, line=node.lineno, top=top
        )
        return
    for alias in node.names:
        yield Statement(module=alias.name, names=(), level=0, line=node.lineno, top=top)


def _changes_lookup(statement: Statement) -> bool:
    names = [statement.module, *(f"{statement.module}.{name}" for name in statement.names)]
    return any(_LOOKUP_MODULES.fullmatch(name) or _LOOKUP.fullmatch(name) for name in names)


def _speaks_of_cuda(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(_CUDA.search(node.value[:1000]))
    return isinstance(node, ast.Attribute) and node.attr in ("cuda", "nccl")


def _bound(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return {node.name}
    return set()
