"""source.order: a loss that is counted after the script has adapted on the same validation tokens.

Two shapes are pointed at. Gradients of validation tokens come first and the counted loss after them, be it
epochs over the split before an evaluation or steps on a window before its score. Or the counted loss stands
inside a loop over epochs, so that a later epoch's loss can be the one that is kept. Score first, then adapt,
chunk by chunk, is legal and draws no note. Advice, no verdict.

Does not catch: a second scoring after a legal first one in the same loop; a table that is filled with the
whole split before it is asked; all that `source_flow` cannot follow.
"""

from __future__ import annotations

import ast
from bisect import bisect_left

from checks.source_flow import Scope, enclosing_loops, scopes
from checks.source_note import Note, Source, notes
from checks.source_tree import Tree, last_name, target_names, words

ID = "source.order"

_EPOCHS = frozenset("epoch epochs ep eps pass passes round rounds sweep sweeps".split())


def check(source: Source) -> tuple[Note, ...]:
    """Return a note for each adaptation that a counted loss follows, and each loss counted in epochs."""
    tree = source.tree
    found: list[tuple[int, str]] = []
    for scope in scopes(tree):
        found += _adapts_first(tree, scope)
        found += _in_epochs(tree, scope)
    return notes(source, ID, found)


def _adapts_first(tree: Tree, scope: Scope) -> list[tuple[int, str]]:
    found = []
    for a in scope.adapts:
        if _is_scored_first(tree, scope, a):
            continue
        later = bisect_left(scope.scores, a)
        if later == len(scope.scores):
            continue
        s = scope.scores[later]
        between = bisect_left(scope.restores, a)
        if between < len(scope.restores) and scope.restores[between] < s:
            continue
        line = tree.line(s)
        found.append((a, f"adapts on validation tokens before the loss that line {line} counts"))
    return found


def _is_scored_first(tree: Tree, scope: Scope, a: int) -> bool:
    """Return whether a loss is counted before node a in a loop around both: score first, then adapt."""
    for loop in enclosing_loops(tree, scope, a):
        if _is_epochs(tree, loop):
            continue
        first = bisect_left(scope.scores, loop)
        if first < len(scope.scores) and scope.scores[first] < a:
            return True
    return False


def _in_epochs(tree: Tree, scope: Scope) -> list[tuple[int, str]]:
    found = []
    for s in scope.scores:
        for loop in enclosing_loops(tree, scope, s):
            if not _is_epochs(tree, loop) or _is_first_epoch_only(tree, loop, s):
                continue
            within = bisect_left(scope.adapts, loop)
            if within < len(scope.adapts) and scope.adapts[within] < tree.ends[loop]:
                line = tree.line(scope.adapts[within])
                said = f"counts a loss inside a loop over epochs that adapts (line {line})"
                found.append((s, said))
                break
    return found


def _is_epochs(tree: Tree, loop: int) -> bool:
    node = tree.nodes[loop]
    if not isinstance(node, ast.For):
        return False
    names = [last_name(name) for name in target_names(node.target)]
    if isinstance(node.iter, ast.Call):
        names += [last_name(argument) for argument in node.iter.args]
    return any(words(name) & _EPOCHS for name in names)


def _is_first_epoch_only(tree: Tree, loop: int, s: int) -> bool:
    """Return whether node s is reached in the first epoch alone: below `if epoch == 0`."""
    node = tree.nodes[loop]
    assert isinstance(node, ast.For)
    epoch = last_name(node.target)
    for a in tree.above(s):
        if a <= loop:
            return False
        test = getattr(tree.nodes[a], "test", None)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            tests = test.values
        else:
            tests = [test] if isinstance(test, ast.expr) else []
        if any(_says_first(one, epoch) for one in tests):
            return True
    return False


def _says_first(test: ast.expr, epoch: str) -> bool:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name)):
            return name == epoch
        case ast.Compare(
            left=ast.Name(id=name), ops=[ast.Eq()], comparators=[ast.Constant(value=0)]
        ):
            return name == epoch
        case ast.Compare(
            left=ast.Name(id=name), ops=[ast.Lt()], comparators=[ast.Constant(value=1)]
        ):
            return name == epoch
    return False
