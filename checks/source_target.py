"""source.target: the token that is being scored takes part in the gate, the hint or the mix of its own score.

Two shapes are pointed at. A class of the token (does it start a word, is it a boundary) is looked up and
decides over a hint, a gate or a boost: the position is known to be a word start before it is scored. Or a
count is looked up under a hash of context and token and divided by a count of the context: collisions lift
every token, and the sum is not 1. A target in the key is not itself the fault; an exact table sums to 1.

Bytes of a token are looked up by the token in every script; what goes into a count of bytes draws no note.
Advice, no verdict: `norm.target` and `order.blind` decide.

In C, in a string or a file, only lookups of a token's class are pointed at; whether the token is the one that
is scored next is for the reader to see.

Does not catch: a table or a target under an innocent name, a class taken by a call, hashed counts in C,
kernels in Triton, hints that come from another file.
"""

from __future__ import annotations

import ast
import re

from checks.source_note import MOST, Note, Source, notes
from checks.source_tree import FUNCTIONS, Tree, last_name, split_lines, target_names, words

ID = "source.target"

_TARGETS = frozenset(
    "tgt tgts target targets label labels gold y ys nxt truth realized realised actual".split()
)
_TOKENS = frozenset("token tokens tok toks ids chunk stream seq sequence targets y val np".split())
_CLASSES = frozenset(
    "boundary boundaries bound bnd space spaces leading word words start starts begin begins wordstart "
    "whitespace ws punct punctuation digit digits class classes category letter".split()
)
_GATES = frozenset(
    "gate gates gated hint hints tilt boost boosts beta lam lambda alpha mix mixed mixing blend "
    "logit logits prob probs probability nll nlls logp logprob logprobs conf confidence within expert top "
    "fire fires fired active apply bonus".split()
)
_BYTES = frozenset("byte bytes nbytes tb bn bpb len length lengths size".split())
_PROBABILITIES = frozenset("p prob probs probability pmix ratio est mix mixed png".split())
_LOOKUPS = frozenset("index_select gather take take_along_dim get embedding".split())
_VIEWS = frozenset(
    "reshape view long int to item cpu numpy astype flatten squeeze unsqueeze contiguous clone detach "
    "ravel copy tolist int64 int32 uint16 array asarray from_numpy as_tensor tensor".split()
)
_C_LOOKUP = re.compile(r"(\w{1,60})\[\s{0,4}(\w{1,60})\s{0,4}\]")
_C_CHARACTERS = 400_000
_C_ASKS = "see that it is not the one being scored"
_LOOKS = 40
"""How many nodes may be looked at for each node of the text; a bound on work."""


def check(source: Source) -> tuple[Note, ...]:
    """Return a note for each gate set by the scored token's class, and each ratio of hashed counts."""
    tree = source.tree
    left = [_LOOKS * len(tree.nodes) + 1_000]
    found: list[tuple[int, str]] = []
    for start in (0, *tree.functions):
        reader = _Reader(tree, left)
        reader.run(start)
        found += reader.found
    for i, node in enumerate(tree.nodes):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and len(text) > 100 and ";" in text:
            found += [
                (i, f"line {line} of the C in this text {said}") for line, said in _in_c(text)
            ]
    return notes(source, ID, found)


def check_c(text: str) -> tuple[Note, ...]:
    """Return a note for each line of a C source that looks up the class of a token."""
    lines = split_lines(text)
    return tuple(
        Note(ID, line, lines[line - 1].strip()[:200], said, "") for line, said in _in_c(text)
    )


def _in_c(text: str) -> list[tuple[int, str]]:
    """Return (line, message) for lookups such as `boundary_lut[tok]` in C, which is read line by line."""
    found = []
    for number, line in enumerate(split_lines(text[:_C_CHARACTERS]), start=1):
        for match in _C_LOOKUP.finditer(line[:1000]):
            table, token = words(match[1]), words(match[2])
            if table & _CLASSES and token & (_TARGETS | {"tok", "token"}):
                found.append((number, f"takes the class of a token, {match[0][:80]}: {_C_ASKS}"))
    return found[:MOST]


class _Reader:
    """Reads one function from top to bottom, with what each name was last given."""

    def __init__(self, tree: Tree, left: list[int]) -> None:
        self.tree, self.left = tree, left
        self.targets: set[str] = set()
        """Names that hold the token being scored."""
        self.classes: set[str] = set()
        """Names that hold a class of it."""
        self.keys: set[str] = set()
        """Names that hold a hash of context and token."""
        self.cells: set[str] = set()
        """Names that hold what such a key led to."""
        self.found: list[tuple[int, str]] = []

    def run(self, start: int) -> None:
        tree = self.tree
        i = start + 1
        while i < tree.ends[start]:
            node = tree.nodes[i]
            if isinstance(node, FUNCTIONS):
                i = tree.ends[i]
                continue
            self._visit(i, node)
            i += 1

    def _visit(self, i: int, node: ast.AST) -> None:
        if isinstance(node, ast.For):
            self._loop(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(i, target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            self._assign(i, node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            self._gate(i, node.target, node.value)
        elif isinstance(node, ast.If):
            self._branch(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            self._divide(i, node.left)
        elif isinstance(node, ast.Call) and last_name(node.func) in (
            "div",
            "true_divide",
            "divide",
        ):
            owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            for part in [*owner, *node.args[:1]]:
                self._divide(i, part)

    def _loop(self, node: ast.For) -> None:
        """In `for i, tok in enumerate(tokens)` the name tok is the token at i, to be scored there."""
        names = target_names(node.target)
        for name in names:
            if isinstance(name, ast.Name):
                self._forget(name.id)
        called = last_name(node.iter) if isinstance(node.iter, ast.Call) else ""
        if called == "enumerate" and len(names) == 2 and isinstance(names[1], ast.Name):
            assert isinstance(node.iter, ast.Call)
            if node.iter.args and words(last_name(node.iter.args[0])) & _TOKENS:
                self.targets.add(names[1].id)

    def _forget(self, name: str) -> None:
        for held in (self.targets, self.classes, self.keys, self.cells):
            held.discard(name)

    def _assign(self, i: int, target: ast.expr, value: ast.expr) -> None:
        self._gate(i, target, value)
        names = target_names(target)
        if len(names) > 1 and isinstance(value, ast.Tuple) and len(value.elts) == len(names):
            for name, element in zip(names, value.elts, strict=True):
                self._hold(name, element)
            return
        for name in names:
            self._hold(name, value)

    def _hold(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            return
        name = target.id
        is_target = self._is_target(value) or self._is_at_loop(value)
        is_key, is_cell = self._is_key(value), self._has(value, self._is_cell)
        is_class = self._has(value, self._is_class) and not words(name) & _BYTES
        self._forget(name)
        if is_target:
            self.targets.add(name)
        if is_class:
            self.classes.add(name)
        if is_key:
            self.keys.add(name)
        elif is_cell:
            self.cells.add(name)

    def _has(self, node: ast.AST, test: object) -> bool:
        """Return whether the test holds for a node at or below this one."""
        assert callable(test)
        for j in self.tree.below(self.tree.at(node)):
            if self.left[0] <= 0:
                return False
            self.left[0] -= 1
            if test(self.tree.nodes[j]):
                return True
        return False

    def _is_target(self, node: ast.AST) -> bool:
        """Return whether an expression is the scored token itself, seen through views of it."""
        node = _viewed(node)
        if isinstance(node, ast.Name):
            return node.id in self.targets or bool(words(node.id) & _TARGETS)
        return isinstance(node, ast.Attribute) and bool(words(node.attr) & _TARGETS)

    def _is_at_loop(self, node: ast.AST) -> bool:
        """Return whether an expression is `int(tokens[i])` with i the variable of a loop around it."""
        while isinstance(node, ast.Call) and len(node.args) == 1 and last_name(node.func) in _VIEWS:
            node = node.args[0]
        if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name)):
            return False
        if not words(last_name(node.value)) & _TOKENS:
            return False
        for a in self.tree.above(self.tree.at(node)):
            around = self.tree.nodes[a]
            if isinstance(around, FUNCTIONS):
                return False
            if isinstance(around, ast.For):
                names = [last_name(name) for name in target_names(around.target)]
                return node.slice.id in names
        return False

    def _is_class(self, node: ast.AST) -> bool:
        """Return whether a node is a class of the scored token: `starts_word[tgt]`, or a name for one."""
        if isinstance(node, ast.Name):
            return isinstance(node.ctx, ast.Load) and node.id in self.classes
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            return bool(words(last_name(node.value)) & _CLASSES) and self._is_target(node.slice)
        if isinstance(node, ast.Call) and last_name(node.func) in _LOOKUPS:
            table = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            given = [*([] if _is_module(table) else [table]), *node.args]
            named = any(words(last_name(part)) & _CLASSES for part in given)
            return named and any(self._is_target(part) for part in node.args)
        return False

    def _is_key(self, node: ast.AST) -> bool:
        """Return whether an expression hashes the scored token with something else into a table."""
        viewed = _viewed(node)
        if isinstance(viewed, ast.Name):
            return viewed.id in self.keys
        mixed = self._has(node, lambda part: isinstance(part, ast.BinOp) and self._mixes(part))
        cut = self._has(
            node,
            lambda part: isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod | ast.BitAnd),
        )
        hashed = self._has(node, self._is_hash)
        kept = self._has(node, lambda part: isinstance(part, ast.Name) and part.id in self.keys)
        return (mixed and cut) or hashed or (kept and (cut or mixed))

    def _mixes(self, node: ast.BinOp) -> bool:
        # token * prime is a factor, not a context: it takes an xor, or a sum, with something that varies.
        if not isinstance(node.op, ast.BitXor | ast.Add):
            return False
        sides = [self._has(side, self._is_target_part) for side in (node.left, node.right)]
        other = node.left if sides[1] else node.right
        return any(sides) and self._has(
            other, lambda part: isinstance(part, ast.Name | ast.Attribute)
        )

    def _is_hash(self, node: ast.AST) -> bool:
        if not (
            isinstance(node, ast.Call) and words(last_name(node.func)) & {"hash", "crc32", "xxh64"}
        ):
            return False
        given = [part for argument in node.args for part in _elements(argument)]
        return len(given) > 1 and any(self._is_target(part) for part in given)

    def _is_target_part(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name | ast.Attribute) and self._is_target(node)

    def _is_cell(self, node: ast.AST) -> bool:
        """Return whether a node is a count found under a hashed key."""
        if isinstance(node, ast.Name):
            return isinstance(node.ctx, ast.Load) and node.id in self.cells
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            return self._is_key(node.slice)
        if isinstance(node, ast.Call) and last_name(node.func) in _LOOKUPS:
            return any(self._is_key(argument) for argument in node.args)
        return False

    def _divide(self, i: int, numerator: ast.AST) -> None:
        if self._has(numerator, self._is_cell):
            self.found.append(
                (
                    i,
                    "divides a count found under a hash of context and token: see that it sums to 1",
                )
            )

    def _gate(self, i: int, target: ast.expr, value: ast.expr) -> None:
        gates = _gates([target])
        if gates and self._has(value, self._is_class):
            self.found.append((i, f"{gates[0]} is set by the class of the token being scored"))

    def _branch(self, node: ast.If) -> None:
        """Note what is set below a test of the scored token's class."""
        if not self._has(node.test, self._is_class):
            return
        below = [self.tree.at(statement) for statement in [*node.body, *node.orelse]]
        if isinstance(node.body[-1], ast.Continue):
            # What follows in the loop is reached by the other classes alone.
            below += self.tree.following(self.tree.at(node))
        for j in (inner for i in below for inner in self.tree.below(i)):
            self.left[0] -= 1
            if self.left[0] <= 0:
                return
            part = self.tree.nodes[j]
            if isinstance(part, ast.Assign | ast.AugAssign):
                gates = _gates(part.targets if isinstance(part, ast.Assign) else [part.target])
                if gates:
                    said = "is set only for some classes of the token being scored"
                    self.found.append((j, f"{gates[0]} {said}"))


def _gates(targets: list[ast.expr]) -> list[str]:
    """Return the targets that by their name decide over a probability."""
    names = [last_name(name)[:80] for target in targets for name in target_names(target)]
    return [name for name in names if words(name) & _GATES and not words(name) & _BYTES]


def _viewed(node: ast.AST) -> ast.AST:
    """Return what an expression is a view of: y of `torch.as_tensor(y[i].reshape(-1)).long()`."""
    for _ in range(12):
        if isinstance(node, ast.Subscript):
            node = node.value
            continue
        if not isinstance(node, ast.Call) or last_name(node.func) not in _VIEWS:
            break
        if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
            node = node.func.value
        elif node.args:
            node = node.args[0]
        else:
            break
    return node


def _is_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("torch", "np", "numpy", "F", "mx", "jnp")


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]
