"""Where validation tokens flow in a script: adapted on, recorded as a score, restored after.

Each function, and the text outside all functions, is read once from top to bottom. A name is tainted while
the last thing assigned to it came from validation data; what is passed on by a call taints the parameter.
An event is a node: `adapts` (backward, or gradients, of a tainted loss), `scores` (a tainted loss added to a
counter or stored, or an evaluation called), `restores` (a state loaded back).

Does not catch: a counter that is not named for a loss, data that travels through objects or containers, what
comes around a loop by way of another name, gradients taken by other means than autograd.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from checks.source_marks import EVALUATES, TRAINS, marks
from checks.source_tree import FUNCTIONS, LOOPS, Tree, last_name, target_names, words

_ROUNDS = 4
"""How far taint is followed from call to call."""
_EVENTS = 2_000
"""Of more in one function the rest is not looked at."""
_LOOKS = 40
"""How many nodes may be looked at for each node of the text; beyond, nothing more is tainted."""
_STORES = frozenset({"append", "extend", "add_", "index_add_", "scatter_add_", "copy_"})
_RESULTS = frozenset("forward loss logits nll".split())
_MEASURES = frozenset("numel size shape len nbytes dtype device stride range".split())
_LOSS = frozenset(
    "loss losses nll nlls nats bits bpb bpt logprob logp ce xent score scores".split()
)
_ASIDE = frozenset(
    "epoch ep train ttt adapt running log logs avg ema slot inner step steps accum micro best print".split()
)
_DONE = frozenset("prev previous scored done past seen last pending finished model net".split())
"""Names of what was scored already, and of models: neither carries taint."""
_ADAPTS = frozenset("ttt adapt adaptation slot tune finetune".split())
_WARM = frozenset("warm warmup wu compile dummy".split())
_RESTORES = frozenset("load_state_dict restore reset reset_parameters restore_state".split())
_KEEPS = frozenset("best ema avg averaged swa adapted tuned".split())


@dataclass(slots=True)
class Scope:
    """One function, or the text outside all of them, with its events in the order of the text."""

    start: int
    end: int
    name: str
    parameters: tuple[str, ...] = ()
    tainted: set[str] = field(default_factory=set)
    """Parameters that some call hands validation data."""
    adapts: list[int] = field(default_factory=list)
    scores: list[int] = field(default_factory=list)
    restores: list[int] = field(default_factory=list)
    reads_marks: bool = False

    def clear(self) -> None:
        """Forget the events before the scope is read again."""
        self.adapts, self.scores, self.restores = [], [], []


def scopes(tree: Tree) -> list[Scope]:
    """Return every scope of the text with its events."""
    found = [Scope(0, len(tree.nodes), "")]
    for f in tree.functions:
        node = tree.nodes[f]
        assert isinstance(node, FUNCTIONS)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = tuple(argument.arg for argument in arguments)
        found.append(Scope(f, tree.ends[f], node.name, names))
    by_name = {scope.name: scope for scope in found if scope.name}
    left = [_LOOKS * len(tree.nodes) + 1_000]
    for _ in range(_ROUNDS):
        before = _state(found)
        for scope in found:
            _Reader(tree, scope, by_name, left).run()
        if _state(found) == before:
            break
    return found


def _state(found: list[Scope]) -> list[tuple[int, int, int]]:
    return [(len(s.tainted), len(s.adapts), len(s.scores)) for s in found]


def enclosing_loops(tree: Tree, scope: Scope, i: int) -> list[int]:
    """Return the loops of the scope around node i, innermost first."""
    return [a for a in tree.above(i) if scope.start <= a and isinstance(tree.nodes[a], LOOPS)]


class _Reader:
    """Reads one scope from top to bottom; `left` is shared by all and bounds the work."""

    def __init__(
        self, tree: Tree, scope: Scope, by_name: dict[str, Scope], left: list[int]
    ) -> None:
        self.tree, self.scope, self.by_name, self.left = tree, scope, by_name, left
        self.names = set(scope.tainted)

    def run(self) -> None:
        tree, scope = self.tree, self.scope
        scope.clear()
        i = scope.start + 1
        while i < scope.end:
            node = tree.nodes[i]
            if isinstance(node, FUNCTIONS):
                i = tree.ends[i]
                continue
            if marks(node):
                scope.reads_marks = True
            self._visit(i, node)
            i += 1

    def _visit(self, i: int, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            self._assign(i, node.targets, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            self._assign(i, [node.target], node.value)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._set([node.target], self._is_tainted(node.iter))
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._set([node.optional_vars], self._is_tainted(node.context_expr))
        elif isinstance(node, ast.AugAssign):
            if self._is_tainted(node.value):
                self._add(node.target)
                if isinstance(node.op, ast.Add) and _is_counter(node.target):
                    self._score(i)
        elif isinstance(node, ast.Call):
            self._call(i, node)

    def _assign(self, i: int, targets: list[ast.expr], value: ast.expr) -> None:
        tainted = self._is_tainted(value)
        for target in targets:
            stores = isinstance(target, ast.Subscript) or (
                isinstance(value, ast.BinOp) and last_name(value.left) == last_name(target)
            )
            if tainted and stores and _is_counter(target):
                self._score(i)
        self._set(targets, tainted)

    def _set(self, targets: list[ast.expr], tainted: bool) -> None:
        for target in (name for one in targets for name in target_names(one)):
            if tainted:
                self._add(target)
            elif isinstance(target, ast.Name):
                self.names.discard(target.id)

    def _add(self, target: ast.expr) -> None:
        # x_batch[i, :n] = tokens[:-1] makes all of x_batch tainted.
        while isinstance(target, ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name) and not words(target.id) & _DONE:
            self.names.add(target.id)

    def _is_tainted(self, node: ast.AST) -> bool:
        tree = self.tree
        i = tree.at(node)
        end = tree.ends[i]
        while i < end and self.left[0] > 0:
            self.left[0] -= 1
            part = tree.nodes[i]
            if isinstance(part, ast.Call):
                parts = words(last_name(part.func))
                # How many there are, and what an evaluation came to, is not data.
                if parts & (_MEASURES | EVALUATES | TRAINS) and not parts & _RESULTS:
                    i = tree.ends[i]
                    continue
            elif isinstance(part, ast.Attribute) and part.attr in _MEASURES:
                i = tree.ends[i]
                continue
            elif isinstance(part, ast.Name) and part.id in self.names:
                return True
            said = marks(part)
            if said and not words(said) & _DONE:
                return True
            i += 1
        return False

    def _call(self, i: int, node: ast.Call) -> None:
        name = last_name(node.func)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name == "backward" and isinstance(node.func, ast.Attribute):
            if any(self._is_tainted(part) for part in [node.func.value, *given]):
                self._adapt(i)
            return
        if self.tree.qualified(node.func) in ("torch.autograd.grad", "autograd.grad"):
            if any(self._is_tainted(part) for part in given):
                self._adapt(i)
            return
        if name in _RESTORES:
            if not any(words(last_name(part)) & _KEEPS for part in given):
                self.scope.restores.append(i)
            return
        if name in _STORES and isinstance(node.func, ast.Attribute):
            if _is_counter(node.func.value) and any(self._is_tainted(part) for part in given):
                self._score(i)
            return
        self._call_function(i, node, name)

    def _call_function(self, i: int, node: ast.Call, name: str) -> None:
        other = self.by_name.get(name)
        parts = words(name)
        evaluates = bool(parts & EVALUATES)
        if other is None or other is self.scope:
            if evaluates and self._takes_validation(node):
                self._score(i)
            return
        handed = self._hand(node, other)
        if not handed and not other.reads_marks:
            return
        if other.scores or evaluates:
            self._score(i)
        elif other.adapts:
            self._adapt(i)

    def _takes_validation(self, node: ast.Call) -> bool:
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(self._is_tainted(part) for part in given)

    def _hand(self, node: ast.Call, other: Scope) -> bool:
        """Taint the parameters of a function that this call hands validation data."""
        bound = other.parameters
        if isinstance(node.func, ast.Attribute) and bound[:1] in (("self",), ("cls",)):
            bound = bound[1:]
        pairs = list(zip(bound, node.args, strict=False))
        pairs += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
        handed = False
        for parameter, value in pairs:
            if self._is_tainted(value):
                handed = True
                if parameter in other.parameters and not words(parameter) & _DONE:
                    other.tainted.add(parameter)
        return handed

    def _adapt(self, i: int) -> None:
        """Record an adaptation, unless it warms up what is restored or thrown away."""
        names = [self.scope.name]
        for a in self.tree.above(i):
            node = self.tree.nodes[a]
            if isinstance(node, ast.For):
                names.append(last_name(node.target))
                names.append(_bound(node.iter))
            if a <= self.scope.start:
                break
        if not any(words(name) & _WARM for name in names) and len(self.scope.adapts) < _EVENTS:
            self.scope.adapts.append(i)

    def _score(self, i: int) -> None:
        if len(self.scope.scores) < _EVENTS:
            self.scope.scores.append(i)


def _bound(node: ast.expr) -> str:
    """Return the name of the last argument of a loop's range: `range(args.warmup_steps)`."""
    return last_name(node.args[-1]) if isinstance(node, ast.Call) and node.args else ""


def _is_counter(target: ast.AST) -> bool:
    """Return whether a name is that of a loss that counts: `loss_sum`, not `epoch_loss`."""
    parts = words(last_name(target))
    return bool(parts & _LOSS) and not parts & _ASIDE
