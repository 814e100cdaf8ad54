"""Which lines of a script its defaults never reach: behind a flag that is off unless somebody sets it.

A flag is an environment variable with a default, an option of argparse, a field of a class or a name that is
given a constant once. A branch whose test comes out false with the defaults is behind the flags in that test;
so is a function or a class that only such branches name. To call dead code a cheat was the classic false
alarm of the contest (#1458, #1232, #1170, #984), so each note says it.

Does not catch: what the command line that was really run sets; a flag that is changed by a way other than an
assignment, a keyword, setattr or os.environ; a branch decided by a loop that runs zero times. Where a name is
given a value twice, nothing is concluded from it.
"""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from checks.source_tree import FUNCTIONS, Tree, dotted, last_name, words

_READS = frozenset({"os.environ.get", "os.getenv", "os.environ.setdefault"})
_WRITES = frozenset({"os.environ.setdefault", "os.environ.update", "os.putenv"})
_LAUNCHER = re.compile(r".*RANK|.*WORLD_SIZE|MASTER_\w+|OMP_\w+|CUDA_\w+|NCCL_\w+|SEED|SLURM_\w+")
"""Variables that whoever starts the script sets; their defaults say nothing."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{2,80}")
_OFF = frozenset({"0", "", "false", "no", "off"})
_DEPTH = 20
_FLAGS = 4
_ROUNDS = 10

_COMPARE: dict[type[ast.cmpop], Callable[[object, object], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,  # type: ignore[dict-item]
    ast.LtE: operator.le,  # type: ignore[dict-item]
    ast.Gt: operator.gt,  # type: ignore[dict-item]
    ast.GtE: operator.ge,  # type: ignore[dict-item]
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,  # type: ignore[operator]
    ast.NotIn: lambda a, b: a not in b,  # type: ignore[operator]
}


@dataclass(frozen=True, slots=True)
class Default:
    """What an expression comes to with the defaults, and the flags that it was worked out from."""

    value: object
    flags: tuple[str, ...] = ()


@dataclass(slots=True)
class _Scan:
    """The flags found so far, and what speaks against a name being one."""

    tree: Tree
    names: dict[str, Default] = field(default_factory=dict)
    attributes: dict[str, Default] = field(default_factory=dict)
    stored: Counter[str] = field(default_factory=Counter)
    stored_attributes: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    """Stores right below a class."""
    variables_set: set[str] = field(default_factory=set)
    helpers: set[str] = field(default_factory=set)
    """Functions that read an environment variable for their caller."""


def unreached(tree: Tree) -> list[str]:
    """Return for each node the flags that its line is behind, "" where the defaults reach it."""
    scan = _Scan(tree)
    _count_stores(scan)
    _find_helpers(scan)
    labels = [""] * len(tree.nodes)
    for i, node in enumerate(tree.nodes):
        _learn(scan, i, node)
        if isinstance(node, ast.If | ast.IfExp | ast.While) and not labels[i]:
            _branch(scan, labels, i, node)
    _spread(scan, labels)
    return labels


def _count_stores(scan: _Scan) -> None:
    nodes, parents = scan.tree.nodes, scan.tree.parents
    for i, node in enumerate(nodes):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            in_class = isinstance(nodes[parents[parents[i]]], ast.ClassDef)
            (scan.fields if in_class else scan.stored)[node.id] += 1
        elif isinstance(node, ast.arg):
            scan.stored[node.arg] += 1
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            scan.stored[node.name] += 1
        elif isinstance(node, ast.alias):
            scan.stored[node.asname or node.name] += 1
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            scan.stored_attributes[node.attr] += 1
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            if scan.tree.qualified(node.value) == "os.environ":
                scan.variables_set.update(_texts([node.slice]))
        elif isinstance(node, ast.Call):
            _count_call(scan, node)


def _count_call(scan: _Scan, node: ast.Call) -> None:
    name = scan.tree.qualified(node.func)
    if name in ("setattr", "object.__setattr__"):
        for text in _texts(node.args):
            scan.stored_attributes[text] += 1
    elif name in _WRITES:
        scan.variables_set.update(_texts(node.args))
        scan.variables_set.update(keyword.arg for keyword in node.keywords if keyword.arg)
        for argument in node.args:
            if isinstance(argument, ast.Dict):
                scan.variables_set.update(_texts([k for k in argument.keys if k]))
    elif last_name(node.func) != "add_argument":
        for keyword in node.keywords:
            # use_slot=args.use_slot hands a flag on; use_slot=True turns it.
            if keyword.arg and last_name(keyword.value) != keyword.arg:
                scan.stored_attributes[keyword.arg] += 1


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def _find_helpers(scan: _Scan) -> None:
    tree = scan.tree
    for i in tree.functions:
        if tree.ends[i] - i < 200 and any(
            isinstance(node := tree.nodes[j], ast.Attribute | ast.Name)
            and tree.qualified(node) in (*_READS, "os.environ")
            for j in tree.below(i)
        ):
            scan.helpers.add(getattr(tree.nodes[i], "name", ""))
    for node in tree.nodes:
        if isinstance(node, ast.Assign) and tree.qualified(node.value) in _READS:
            scan.helpers.update(t.id for t in node.targets if isinstance(t, ast.Name))


def _learn(scan: _Scan, i: int, node: ast.AST) -> None:
    """Take a statement's flag, if it makes one."""
    if isinstance(node, ast.Call):
        _learn_option(scan, node)
        return
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target = node.target
    else:
        return
    assert node.value is not None
    parent = scan.tree.nodes[scan.tree.parents[i]]
    counts = scan.fields if isinstance(parent, ast.ClassDef) else scan.stored
    if not isinstance(target, ast.Name) or counts[target.id] > 1:
        return
    found = _evaluate(scan, node.value, _DEPTH)
    if found is None:
        return
    flags = found.flags or (f"{target.id} (default {_shown(found.value)})",)
    if isinstance(parent, ast.ClassDef):
        if not scan.stored_attributes[target.id]:
            scan.attributes[target.id] = Default(found.value, flags)
    elif found.flags or isinstance(parent, ast.Module):
        scan.names[target.id] = Default(found.value, flags)


def _learn_option(scan: _Scan, node: ast.Call) -> None:
    if last_name(node.func) != "add_argument" or not isinstance(node.func, ast.Attribute):
        return
    options = [text for text in _texts(node.args) if text.startswith("--")]
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    if not options:
        return
    action = _texts([given["action"]]) if "action" in given else []
    found: Default | None = None
    if "store_true" in action:
        found = Default(False)
    elif "default" in given:
        found = _evaluate(scan, given["default"], _DEPTH)
    name = _texts([given["dest"]]) if "dest" in given else []
    key = name[0] if name else options[0][2:].replace("-", "_")
    if found is not None and not scan.stored_attributes[key] and key not in scan.attributes:
        label = f"{options[0][:80]} (default {_shown(found.value)})"
        scan.attributes[key] = Default(found.value, found.flags or (label,))


def _shown(value: object) -> str:
    return f'"{value[:40]}"' if isinstance(value, str) else repr(value)[:40]


def _evaluate(scan: _Scan, node: ast.expr, depth: int) -> Default | None:
    """Return what an expression comes to with every flag at its default; None if that is not known."""
    if depth == 0:
        return None
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return Default(value)
        case ast.Name():
            return scan.names.get(node.id)
        case ast.Attribute():
            return scan.attributes.get(node.attr)
        case ast.UnaryOp(op=ast.Not()):
            inner = _evaluate(scan, node.operand, depth - 1)
            return None if inner is None else Default(not inner.value, inner.flags)
        case ast.BoolOp():
            return _evaluate_bool(scan, node, depth)
        case ast.Compare(ops=[op], comparators=[right]):
            return _evaluate_compare(scan, node.left, op, right, depth)
        case ast.Tuple() | ast.List() | ast.Set():
            values = [e.value for e in node.elts if isinstance(e, ast.Constant)]
            return Default(tuple(values)) if len(values) == len(node.elts) else None
        case ast.Call():
            return _evaluate_call(scan, node, depth)
    return None


def _evaluate_bool(scan: _Scan, node: ast.BoolOp, depth: int) -> Default | None:
    stops_at = isinstance(node.op, ast.Or)
    flags: tuple[str, ...] = ()
    last: Default | None = Default(not stops_at)
    for operand in node.values[:_DEPTH]:
        found = _evaluate(scan, operand, depth - 1)
        if found is not None and bool(found.value) == stops_at:
            return found
        if found is None:
            last = None
        elif last is not None:
            flags = _joined(flags, found.flags)
            last = Default(found.value, flags)
    return last if len(node.values) <= _DEPTH else None


def _joined(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    # A few say enough, and a name made of a name twice over must not double.
    return tuple(dict.fromkeys(a + b))[:_FLAGS]


def _evaluate_compare(
    scan: _Scan, left: ast.expr, op: ast.cmpop, right: ast.expr, depth: int
) -> Default | None:
    a, b = _evaluate(scan, left, depth - 1), _evaluate(scan, right, depth - 1)
    if a is None or b is None:
        return None
    try:
        return Default(bool(_COMPARE[type(op)](a.value, b.value)), _joined(a.flags, b.flags))
    except TypeError:
        return None


def _evaluate_call(scan: _Scan, node: ast.Call, depth: int) -> Default | None:
    name = scan.tree.qualified(node.func)
    if name in ("int", "float", "bool", "str") and len(node.args) == 1 and not node.keywords:
        inner = _evaluate(scan, node.args[0], depth - 1)
        return None if inner is None else _converted(name, inner)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("lower", "strip", "upper"):
        inner = _evaluate(scan, node.func.value, depth - 1)
        if inner is None or not isinstance(inner.value, str):
            return None
        return Default(getattr(inner.value, node.func.attr)(), inner.flags)
    if name == "getattr" and len(node.args) == 3:
        return _evaluate_getattr(scan, node, depth)
    return _environment(scan, name, node)


def _converted(name: str, inner: Default) -> Default | None:
    value = inner.value
    try:
        if name == "int" and isinstance(value, str | int | float):
            return Default(int(value), inner.flags)
        if name == "float" and isinstance(value, str | int | float):
            return Default(float(value), inner.flags)
    except (ValueError, OverflowError):
        return None
    if name == "bool":
        return Default(bool(value), inner.flags)
    return inner if name == "str" and isinstance(value, str) else None


def _evaluate_getattr(scan: _Scan, node: ast.Call, depth: int) -> Default | None:
    names = _texts([node.args[1]])
    if not names or scan.stored_attributes[names[0]]:
        return None
    if names[0] in scan.attributes:
        return scan.attributes[names[0]]
    found = _evaluate(scan, node.args[2], depth - 1)
    label = (f"{names[0][:80]} (default {_shown(found.value)})",) if found else ()
    return found and Default(found.value, found.flags or label)


def _environment(scan: _Scan, name: str, node: ast.Call) -> Default | None:
    """Return the default of a variable read from the environment, by os or by the script's own helper."""
    variable = _texts(node.args[:1])
    helper = name in scan.helpers or "env" in words(name)
    if not variable or not (name in _READS or (helper and _VARIABLE.fullmatch(variable[0]))):
        return None
    if variable[0] in scan.variables_set or _LAUNCHER.fullmatch(variable[0]):
        return None
    given = node.args[1] if len(node.args) > 1 else None
    for keyword in node.keywords:
        given = keyword.value if keyword.arg == "default" else given
    if given is None:
        found: Default | None = Default(None) if name in _READS else None
    else:
        found = _evaluate(scan, given, _DEPTH // 2)
    if found is None:
        return None
    value = found.value
    if name not in _READS and isinstance(value, str) and value.lower() in _OFF:
        # A helper converts in its own way; what it makes of "0" is taken to be false.
        value = False
    return Default(value, (f"{variable[0][:80]} (default {_shown(found.value)})",))


def _branch(scan: _Scan, labels: list[str], i: int, node: ast.If | ast.IfExp | ast.While) -> None:
    """Label the branch of node i that the defaults do not take, and what follows an early return."""
    found = _evaluate(scan, node.test, _DEPTH)
    if found is None:
        return
    label = ", ".join(dict.fromkeys(found.flags))[:200] or "a constant"
    taken, other = (node.body, node.orelse) if found.value else (node.orelse, node.body)
    for child in other if isinstance(other, list) else [other]:
        _fill(scan.tree, labels, scan.tree.at(child), label)
    if isinstance(node, ast.If) and isinstance(taken, list) and _leaves(taken):
        for following in scan.tree.following(i):
            _fill(scan.tree, labels, following, label)


def _leaves(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _fill(tree: Tree, labels: list[str], i: int, label: str) -> None:
    # What is labelled already was filled with all below it.
    if not labels[i]:
        for j in tree.below(i):
            labels[j] = labels[j] or label


def _spread(scan: _Scan, labels: list[str]) -> None:
    """Label functions and classes that nothing but labelled lines names, until no more are found."""
    tree = scan.tree
    defined = {
        node.name: i
        for i, node in enumerate(tree.nodes)
        if isinstance(node, (*FUNCTIONS, ast.ClassDef))
        and scan.stored[node.name] == 1
        and not isinstance(tree.nodes[tree.parents[i]], ast.ClassDef)
    }
    uses: dict[str, list[int]] = {name: [] for name in defined}
    runs = False
    for i, node in enumerate(tree.nodes):
        name = last_name(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        runs = runs or name == "__name__"
        if name in uses and i not in tree.below(defined[name]):
            uses[name].append(i)
    for _ in range(_ROUNDS):
        found = False
        for name, i in defined.items():
            if labels[i]:
                continue
            label = _use_label(tree, labels, i, name, uses[name], runs)
            if label:
                _fill(tree, labels, i, label)
                found = True
        if not found:
            return


def _use_label(
    tree: Tree, labels: list[str], i: int, name: str, used: list[int], runs: bool
) -> str:
    if used:
        return labels[used[0]] if all(labels[j] for j in used) else ""
    node = tree.nodes[i]
    # A text that does not run by itself is a library: others call its functions.
    idle = runs and isinstance(node, FUNCTIONS) and not node.decorator_list and dotted(node) == ""
    return f"{name[:80]}, which nothing in this text calls" if idle else ""
