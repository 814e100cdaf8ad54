"""source.validation: validation data where only training data belongs.

Pointed at: a training loader that is given validation files, a calibration (Hessians, quantisation) that is
handed validation tokens, a function that by its name trains or calibrates and reads them, and a number of
validation documents other than the contest's 50,000. Advice, no verdict.

Does not catch: tokens under another name, validation documents that the training shards hold already (a scan
of the data finds them), settings that were chosen on validation offline.
"""

from __future__ import annotations

import ast

from checks.source_marks import CALIBRATES, EVALUATES, TRAINS, marks
from checks.source_note import Note, Source, notes
from checks.source_tree import Tree, last_name, target_names, words

ID = "source.validation"

DOCUMENTS = 50_000
"""Documents of the contest's validation split."""

_LOOKS = 5_000
"""Names of validation data that are looked at in one text; a bound on work, far above any script."""

_LOADS = frozenset("loader dataset stream shards batches iterator sampler source".split())
_ADAPTS = frozenset("ttt tta adapt adaptation slot val validation".split())
_HARMLESS = frozenset("numel size shape len print log info nbytes dtype device exists".split())
_TAKES = (
    EVALUATES
    | CALIBRATES
    | _HARMLESS
    | frozenset("load loader read make build get create open val validation".split())
)


def check(source: Source) -> tuple[Note, ...]:
    """Return a note for each line where validation data enters training or calibration."""
    tree = source.tree
    found: list[tuple[int, str]] = []
    for i, node in enumerate(tree.nodes):
        if isinstance(node, ast.Call):
            found += _handed(tree, node)
            found += _documents_option(tree, i, node)
        elif isinstance(node, ast.Assign):
            found += _loader(tree, node)
            found += _documents(tree, i, node.targets, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            found += _documents(tree, i, [node.target], node.value)
    found += _inside(tree)
    return notes(source, ID, found)


def _arguments(tree: Tree, node: ast.Call) -> list[tuple[int, str]]:
    """Return the marks that stand in the arguments themselves, not in calls among them."""
    found = []
    for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
        while isinstance(argument, ast.Subscript | ast.Starred):
            argument = argument.value
        said = marks(argument)
        if said:
            found.append((tree.at(argument), said))
    return found


def _handed(tree: Tree, node: ast.Call) -> list[tuple[int, str]]:
    """Return what calibration, and the training loader, are handed."""
    name = last_name(node.func)
    parts = words(name)
    if parts & EVALUATES:
        return []
    if parts & CALIBRATES:
        purpose = "calibrates"
    elif parts & TRAINS and parts & _LOADS:
        purpose = "feeds the training loader"
    else:
        return []
    return [
        (i, f"{name[:80]} {purpose} with {said[:80]}: validation data in training")
        for i, said in _arguments(tree, node)
    ]


def _loader(tree: Tree, node: ast.Assign) -> list[tuple[int, str]]:
    """Return `train_loader = Loader(args.val_files)` and `train_files = val_files`."""
    if len(node.targets) != 1 or isinstance(node.targets[0], ast.Tuple | ast.List):
        return []
    name = last_name(node.targets[0])
    parts = words(name)
    if not parts & TRAINS or not parts & (_LOADS | {"files", "tokens", "data", "shards", "path"}):
        return []
    if isinstance(node.value, ast.Call):
        given = _arguments(tree, node.value)
    else:
        said = marks(node.value)
        given = [(tree.at(node.value), said)] if said else []
    return [
        (i, f"{name[:80]} is made of {said[:80]}: validation data in training") for i, said in given
    ]


def _inside(tree: Tree) -> list[tuple[int, str]]:
    """Return the marks inside functions that by their name train or calibrate and do not evaluate."""
    found: list[tuple[int, str]] = []
    looked = 0
    for f in tree.functions:
        name = getattr(tree.nodes[f], "name", "")
        parts = words(name)
        purpose = "calibrates" if parts & CALIBRATES else "trains" if parts & TRAINS else ""
        if not purpose or parts & EVALUATES or _is_part_of_evaluation(tree, f):
            continue
        if purpose == "trains" and parts & _ADAPTS:
            # Test-time training; source.order looks at what comes first there.
            continue
        for i in tree.below(f):
            said = marks(tree.nodes[i]) if looked < _LOOKS else ""
            looked += said != ""
            if said and not _is_handed_on(tree, i, f, purpose):
                found.append((i, f"{name[:80]}, which {purpose}, reads {said[:80]}"))
    return found


def _is_part_of_evaluation(tree: Tree, f: int) -> bool:
    outer = [words(getattr(tree.nodes[a], "name", "")) for a in tree.above(f)]
    return any(parts & (EVALUATES | _ADAPTS) for parts in outer)


def _is_handed_on(tree: Tree, i: int, f: int, purpose: str) -> bool:
    """Return whether what node i names goes to a loader or an evaluation, or is only measured."""
    for a in tree.above(i):
        if a <= f:
            break
        node = tree.nodes[a]
        if _takes(node):
            return True
        if purpose == "trains" and _is_without_gradients(node):
            return True
    return False


def _takes(node: ast.AST) -> bool:
    match node:
        case ast.Call():
            # Calibration is noted where it is called; a class or a loader of that name is no data.
            return bool(words(last_name(node.func)) & _TAKES)
        case ast.Attribute():
            return bool(words(node.attr) & _HARMLESS)
        case ast.Compare():
            return all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
        case ast.arguments() | ast.Return():
            return True
    return False


def _is_without_gradients(node: ast.AST) -> bool:
    """Return whether a block computes no gradients: an evaluation written out inside a training loop."""
    return isinstance(node, ast.With) and any(
        last_name(item.context_expr) in ("no_grad", "inference_mode") for item in node.items
    )


def _documents(
    tree: Tree, i: int, targets: list[ast.expr], value: ast.expr
) -> list[tuple[int, str]]:
    names = [last_name(name) for target in targets for name in target_names(target)]
    return [(i, message) for name in names for message in _counted(name, _number(tree, value))]


def _documents_option(tree: Tree, i: int, node: ast.Call) -> list[tuple[int, str]]:
    if last_name(node.func) != "add_argument" or not node.args:
        return []
    name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
    given = [keyword.value for keyword in node.keywords if keyword.arg == "default"]
    if not isinstance(name, str) or not given:
        return []
    return [(i, message) for message in _counted(name, _number(tree, given[0]))]


def _counted(name: str, number: int | None) -> list[str]:
    parts = words(name)
    if not (parts & {"val", "validation"} and parts & {"docs", "documents"}) or number is None:
        return []
    if number in (0, DOCUMENTS) or parts & {"batch", "chunk", "log"}:
        return []
    return [f"{name[:80]} is {number:,}: the validation split has {DOCUMENTS:,} documents"]


def _number(tree: Tree, value: ast.expr) -> int | None:
    """Return a whole number, alone or as the default of an environment variable."""
    for j in tree.below(tree.at(value))[:12]:
        node = tree.nodes[j]
        given = node.value if isinstance(node, ast.Constant) else None
        if isinstance(given, int) and not isinstance(given, bool):
            return given
        if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 12:
            return int(given)
    return None
