"""What an expression made of literals comes to, worked out without running it.

Known: strings and bytes, joined, added, repeated, sliced and stripped; names that are given a literal once,
or one after the other outside all functions; the decoders of base64, binascii and codecs; zlib, gzip, bz2,
lzma and, where it is installed, brotli. Everything else is Unknown, with the reason. No function of the
script is ever called: what is called here is this module's own table.

Bounds: 16 MB a value, 8.5 MB into a decoder, 64 MB and 200,000 steps in all, expressions 60 deep.

Does not catch: comprehensions, loops, xor, files, `str.format`, functions of the script's own.
"""

from __future__ import annotations

import ast
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checks.source_tree import FUNCTIONS, Tree, target_names
from harness.audit.decode import (
    DECOMPRESS,
    MAX_VALUE,
    OBJECTS,
    PLAIN,
    Unknown,
    recoded,
)
from harness.audit.decode import (
    FUNCTIONS as DECODERS,
)

MAX_INPUT = 8_500_000
MAX_WORK = 64_000_000
MAX_STEPS = 200_000
MAX_DEPTH = 60

_LZMA_CONSTANTS = frozenset({"FORMAT", "FILTER", "CHECK", "PRESET", "MF", "MODE"})
_METHODS = frozenset(
    "decode encode strip lstrip rstrip replace join lower upper swapcase removeprefix removesuffix".split()
)

_KINDS = {"Lambda": "a function", "ListComp": "a comprehension", "GeneratorExp": "a comprehension"}

Value = str | bytes | int | None | list["Value"] | dict["Value", "Value"]


@dataclass(slots=True)
class Work:
    """What is left of the bounds of one script, all its layers together."""

    octets: int = MAX_WORK
    steps: int = MAX_STEPS

    def step(self) -> None:
        """Count one expression."""
        self.steps -= 1
        if self.steps < 0:
            raise Unknown(f"more than {MAX_STEPS:,} steps")

    def made(self, size: int) -> None:
        """Count a value of `size` before it is made; Unknown if that is too much."""
        if size > MAX_VALUE:
            raise Unknown(f"more than {MAX_VALUE:,} bytes come out")
        self.octets -= size
        if self.octets < 0:
            raise Unknown(f"more than {MAX_WORK:,} bytes in all")


class Literals:
    """Works out expressions of one text."""

    def __init__(self, tree: Tree, work: Work) -> None:
        self.tree, self.work = tree, work
        self.steps: list[str] = []
        self.decoded: dict[ast.Call, tuple[Value, list[str]]] = {}
        """What decoders came to; each is asked once."""
        self.bindings: dict[str, list[tuple[int, ast.expr | None]]] = {}
        for i, node in enumerate(tree.nodes):
            self._bind(i, node)
        self._kinds: dict[type, Callable[[Any, int], Value]] = {
            ast.Name: self._named,
            ast.BinOp: self._operation,
            ast.JoinedStr: self._joined,
            ast.Tuple: self._elements,
            ast.List: self._elements,
            ast.Dict: self._pairs,
            ast.Subscript: self._part,
            ast.UnaryOp: self._negative,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
        }

    def _bind(self, i: int, node: ast.AST) -> None:
        """Record what a statement gives a name: an expression, or None where it is not known."""
        flat = isinstance(self.tree.nodes[max(self.tree.parents[i], 0)], ast.Module)
        place = i if flat else -1
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                self._add(name, place, node.value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._add(name, place, value)
            case ast.AugAssign(target=ast.Name(id=name)):
                known = flat and isinstance(node.op, ast.Add)
                self._add(name, i if known else -1, node.value if known else None)
            case ast.Assign():
                self._forget(node.targets)
            case ast.For() | ast.AsyncFor() | ast.comprehension() | ast.NamedExpr():
                self._forget([node.target])
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._add(name, -1, None)
            case ast.ClassDef(name=name):
                self._add(name, -1, None)

    def _forget(self, targets: list[ast.expr]) -> None:
        for name in (n for target in targets for n in target_names(target)):
            if isinstance(name, ast.Name):
                self._add(name.id, -1, None)

    def _add(self, name: str, place: int, value: ast.expr | None) -> None:
        self.bindings.setdefault(name, []).append((place, value))

    def name(self, node: ast.expr) -> str:
        """Return the dotted name of what is called, through aliases: `L.decompress` -> lzma.decompress."""
        for _ in range(4):
            name = self.tree.qualified(node) or self._made_up(node)
            first, _, rest = name.partition(".")
            held = self.bindings.get(first, [])
            if len(held) != 1 or held[0][1] is None or first in self.tree.imports:
                return name
            value = held[0][1]
            other = self.tree.qualified(value) or self._made_up(value)
            if not other:
                return name
            if not rest:
                node = value
                continue
            return f"{other}.{rest}"
        return ""

    def _made_up(self, node: ast.expr) -> str:
        """Return the name of `__import__("zlib").decompress` and of `getattr(zlib, "decompress")`."""
        if isinstance(node, ast.Attribute):
            owner = self._made_up(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        if not isinstance(node, ast.Call) or not node.args:
            return ""
        called = self.tree.qualified(node.func)
        last = node.args[-1].value if isinstance(node.args[-1], ast.Constant) else None
        if not isinstance(last, str):
            return ""
        if called in ("__import__", "importlib.import_module") and len(node.args) == 1:
            return last
        if called == "getattr" and len(node.args) == 2:
            owner = self.tree.qualified(node.args[0]) or self._made_up(node.args[0])
            return f"{owner}.{last}" if owner else ""
        return ""

    def decompresses(self, node: ast.Call) -> bool:
        """Return whether a call is of a decompressor by its name."""
        return self.name(node.func) in DECOMPRESS

    def value(self, node: ast.expr) -> tuple[Value, list[str]]:
        """Return what an expression comes to and the steps on the way. Raises Unknown."""
        self.steps = []
        try:
            return self._value(node, MAX_DEPTH), self.steps
        except (RecursionError, MemoryError):
            raise Unknown("nested too deeply") from None

    def _value(self, node: ast.expr, depth: int) -> Value:
        self.work.step()
        if depth == 0:
            raise Unknown(f"nested more than {MAX_DEPTH} deep")
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str | bytes | int | None):
                return node.value
            raise Unknown("a number that is not whole")
        known = self._kinds.get(type(node))
        if known is None:
            raise Unknown(_KINDS.get(type(node).__name__, type(node).__name__))
        return known(node, depth)

    def _elements(self, node: ast.Tuple | ast.List, depth: int) -> Value:
        return [self._value(element, depth - 1) for element in node.elts]

    def _pairs(self, node: ast.Dict, depth: int) -> Value:
        keys = [self._key(key, depth) for key in node.keys]
        return dict(zip(keys, (self._value(v, depth - 1) for v in node.values), strict=True))

    def _negative(self, node: ast.UnaryOp, depth: int) -> Value:
        number = self._value(node.operand, depth - 1)
        if not isinstance(node.op, ast.USub) or not isinstance(number, int):
            raise Unknown("an operation")
        return -number

    def _key(self, node: ast.expr | None, depth: int) -> Value:
        key = None if node is None else self._value(node, depth - 1)
        if not isinstance(key, str | int):
            raise Unknown("a dictionary")
        return key

    def _named(self, node: ast.Name, depth: int) -> Value:
        return self._held(node.id, self.tree.at(node), depth)

    def _held(self, name: str, here: int, depth: int) -> Value:
        """Return what a name holds: given once, or the last of several before it outside all functions."""
        held = self.bindings.get(name, [])
        if len(held) > 1:
            inside = any(isinstance(self.tree.nodes[a], FUNCTIONS) for a in self.tree.above(here))
            if inside or any(place < 0 for place, _ in held):
                raise Unknown(f"the name {name[:40]}, given more than one value")
            held = [entry for entry in held if self.tree.ends[entry[0]] <= here]
        if not held or held[-1][1] is None:
            raise Unknown(f"the name {name[:40]}")
        place, value = held[-1]
        assert value is not None
        result = self._value(value, depth - 1)
        if place >= 0 and isinstance(self.tree.nodes[place], ast.AugAssign):
            return self._sum(self._held(name, place, depth - 1), result)
        return result

    def _operation(self, node: ast.BinOp, depth: int) -> Value:
        if isinstance(node.op, ast.Add):
            # a + b + c leans to the left as deep as it is long.
            parts: list[ast.expr] = []
            left: ast.expr = node
            while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
                self.work.step()
                parts.append(left.right)
                left = left.left
            values = [self._value(part, depth - 1) for part in [left, *reversed(parts)]]
            return self._total(values)
        a, b = self._value(node.left, depth - 1), self._value(node.right, depth - 1)
        if isinstance(node.op, ast.Mult):
            text, times = (a, b) if isinstance(b, int) else (b, a)
            if isinstance(text, str | bytes) and isinstance(times, int):
                self.work.made(len(text) * max(times, 0))
                return text * times
        if isinstance(node.op, ast.BitOr) and isinstance(a, int) and isinstance(b, int):
            return a | b
        raise Unknown(f"an operation, {type(node.op).__name__}")

    def _total(self, values: list[Value]) -> Value:
        if all(isinstance(value, str) for value in values):
            return self._glue("", values)
        if all(isinstance(value, bytes) for value in values):
            return self._glue(b"", values)
        total = values[0]
        for value in values[1:]:
            total = self._sum(total, value)
        return total

    def _sum(self, a: Value, b: Value) -> Value:
        if isinstance(a, str) and isinstance(b, str):
            self.work.made(len(a) + len(b))
            return a + b
        if isinstance(a, bytes) and isinstance(b, bytes):
            self.work.made(len(a) + len(b))
            return a + b
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        raise Unknown("a sum")

    def _glue(self, between: Any, values: list[Any]) -> Value:
        if not all(isinstance(value, type(between)) for value in values):
            raise Unknown("a join")
        self.work.made(sum(map(len, values)) + len(between) * len(values))
        joined: str | bytes = between.join(values)
        return joined

    def _joined(self, node: ast.JoinedStr, depth: int) -> Value:
        parts: list[Value] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.conversion != -1 or part.format_spec is not None:
                    raise Unknown("a formatted text")
                parts.append(self._value(part.value, depth - 1))
            else:
                parts.append(self._value(part, depth - 1))
        return self._glue("", parts)

    def _part(self, node: ast.Subscript, depth: int) -> Value:
        whole = self._value(node.value, depth - 1)
        if not isinstance(whole, str | bytes | list):
            raise Unknown("a subscript")
        if isinstance(node.slice, ast.Slice):
            bounds = [
                None if bound is None else self._value(bound, depth - 1)
                for bound in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if all(isinstance(bound, int | None) for bound in bounds) and bounds[2] != 0:
                self.work.made(len(whole))
                part: Value = whole[slice(*bounds)]  # type: ignore[arg-type]
                return part
        else:
            place = self._value(node.slice, depth - 1)
            if isinstance(place, int) and -len(whole) <= place < len(whole):
                return whole[place]
        raise Unknown("a subscript")

    def _attribute(self, node: ast.Attribute, depth: int) -> Value:
        """Return a constant of lzma or zlib: lzma.FORMAT_RAW."""
        module, _, constant = self.name(node).rpartition(".")
        if module == "lzma" and constant.partition("_")[0] in _LZMA_CONSTANTS:
            found = getattr(lzma, constant, None)
        elif module == "zlib" and constant == "MAX_WBITS":
            found = zlib.MAX_WBITS
        else:
            found = None
        if not isinstance(found, int):
            raise Unknown(f"the name {node.attr[:40]}")
        return found

    def _call(self, node: ast.Call, depth: int) -> Value:
        name = self.name(node.func)
        arguments, keywords = node.args, node.keywords
        if isinstance(node.func, ast.Attribute) and node.func.attr == "decompress":
            # zlib.decompressobj(-15).decompress(data)
            made = node.func.value
            if isinstance(made, ast.Call) and self.name(made.func) in OBJECTS:
                name = OBJECTS[self.name(made.func)]
                arguments, keywords = [*arguments, *made.args], made.keywords
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name not in DECODERS and method not in _METHODS:
            raise Unknown(f"a call of {(name or method or 'something')[:60]}")
        if node in self.decoded:
            result, steps = self.decoded[node]
            self.steps += steps
            return result
        before = len(self.steps)
        given = [self._value(argument, depth - 1) for argument in arguments]
        named: dict[str, Value] = {}
        for keyword in keywords:
            if keyword.arg is None:
                raise Unknown("** in a call")
            named[keyword.arg] = self._value(keyword.value, depth - 1)
        if name in DECODERS:
            result = self._decoded(name, given, named)
            self.decoded[node] = result, self.steps[before:]
            return result
        assert isinstance(node.func, ast.Attribute)
        return self._method(self._value(node.func.value, depth - 1), method, given, named)

    def _decoded(self, name: str, given: list[Value], named: dict[str, Value]) -> Value:
        for value in given[:1]:
            if isinstance(value, str | bytes):
                if len(value) > MAX_INPUT:
                    raise Unknown(f"more than {MAX_INPUT:,} bytes into {name}")
                self.work.made(len(value))
        try:
            result: Value = DECODERS[name](*given, **named)
        except Unknown:
            raise
        except Exception as error:  # a decoder that is given nonsense raises what it likes
            raise Unknown(f"{name} refuses it: {type(error).__name__}") from None
        if isinstance(result, str | bytes):
            self.work.made(len(result))
        if name not in PLAIN:
            self.steps.append(name)
        return result

    def _method(
        self, owner: Value, method: str, given: list[Value], named: dict[str, Value]
    ) -> Value:
        if method == "join" and isinstance(owner, str | bytes) and len(given) == 1:
            if isinstance(given[0], list):
                return self._glue(owner, given[0])
            raise Unknown("a join")
        if not isinstance(owner, str | bytes):
            raise Unknown(f"a call of {method}")
        if method in ("decode", "encode"):
            return self._recode(owner, given, named)
        if method == "replace" and len(given) >= 2:
            old, new = given[0], given[1]
            if (
                isinstance(old, str | bytes)
                and isinstance(new, str | bytes)
                and type(old) is type(owner)
            ):
                times = owner.count(old)  # type: ignore[arg-type]
                self.work.made(len(owner) + times * len(new))
        self.work.made(len(owner))
        if any(not isinstance(value, str | bytes | int | None) for value in given) or named:
            raise Unknown(f"a call of {method}")
        try:
            result: Value = getattr(owner, method)(*given)
        except (TypeError, ValueError, OverflowError) as error:
            raise Unknown(f"{method} refuses it: {type(error).__name__}") from None
        return result

    def _recode(self, owner: str | bytes, given: list[Value], named: dict[str, Value]) -> Value:
        values = [*given, *named.values()]
        encoding = values[0] if values else "utf-8"
        if not isinstance(encoding, str) or len(encoding) > 40:
            raise Unknown("a coding")
        self.work.made(len(owner))
        return recoded(owner, encoding, str(values[1])[:20] if len(values) > 1 else "strict")
