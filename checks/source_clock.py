"""source.clock: a script that changes a clock, or takes time off the one that it reports.

Advice, no verdict: the judge's own clock decides where there is a judge. What is pointed at: a function of
`time` or torch.cuda.synchronize given another meaning, a clock set or faked from outside, and a reported time
from which something is subtracted.

Does not catch: a clock that is stopped and started again around validation (the baseline's way, which all
records share), work done before the first or after the last reading, a timer in C.
"""

from __future__ import annotations

import ast
import re

from checks.source_note import Note, Source, notes
from checks.source_tree import FUNCTIONS, Tree, last_name, target_names, words

ID = "source.clock"

_CLOCK = re.compile(
    r"time\.(?:time|perf_counter|monotonic|process_time|thread_time)(?:_ns)?"
    r"|torch\.cuda\.(?:synchronize|Event|Event\.elapsed_time|current_stream)|datetime\.datetime(?:\.now)?"
)
_READ = re.compile(
    r"time\.(?:time|perf_counter|monotonic|process_time)(?:_ns)?|(?:perf_counter|monotonic)(?:_ns)?"
)
_SETS = frozenset({"time.clock_settime", "time.clock_settime_ns"})
_FAKES = re.compile(r"\b(?:LD_PRELOAD|libfaketime|FAKETIME|DYLD_INSERT_LIBRARIES)\b")
_RUNS = frozenset("train training elapsed eval evaluation wallclock wall clock total".split())
_TIME = frozenset("time ms s sec secs seconds elapsed clock wallclock t".split())
_LIMIT = frozenset(
    "max budget limit cap remaining reserve deadline left target allowed estimated eta min".split()
)
_LEFT_OUT = frozenset(
    "eval val validation compile warmup overhead pause paused pauses skip skipped exclude excluded idle "
    "export quant quantize hessian gptq precompute setup io wait".split()
)


def check(source: Source) -> tuple[Note, ...]:
    """Return a note for each line that patches a clock or subtracts from a reported time."""
    tree = source.tree
    started = _started(tree)
    found = []
    for i, node in enumerate(tree.nodes):
        message = ""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Delete):
            message = _assigned(tree, i, node)
        elif isinstance(node, ast.AugAssign):
            message = _moved(tree, node, started)
        elif isinstance(node, FUNCTIONS):
            message = _shadowed(tree, i, node.name)
        elif isinstance(node, ast.Call):
            message = _called(tree, node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            fake = _FAKES.search(node.value[:1000]) if len(node.value) < 1000 else None
            message = f"names {fake.group()}, which can change every clock" if fake else ""
        if message:
            found.append((i, message))
    return notes(source, ID, found)


def _started(tree: Tree) -> set[str]:
    """Return the names that are given a reading of a clock: `t0 = time.perf_counter()`."""
    names: set[str] = set()
    for node in tree.nodes:
        if isinstance(node, ast.Assign) and _reads(tree, node.value):
            names.update(last_name(target) for target in node.targets)
    return names - {""}


def _reads(tree: Tree, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and bool(_READ.fullmatch(tree.qualified(node.func)))


def _assigned(tree: Tree, i: int, node: ast.Assign | ast.AnnAssign | ast.Delete) -> str:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    for target in (name for one in targets for name in target_names(one)):
        name = tree.qualified(target)
        if isinstance(target, ast.Attribute) and _CLOCK.fullmatch(name):
            return f"gives {name} another meaning"
        if isinstance(target, ast.Name):
            message = _shadowed(tree, i, target.id)
            if message:
                return message
        if isinstance(target, ast.Subscript) and tree.qualified(target.value) == "sys.modules":
            key = target.slice.value if isinstance(target.slice, ast.Constant) else None
            if key in ("time", "datetime"):
                return f"puts another module in the place of {key!s}"
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        return _difference(targets[0], node.value)
    return ""


def _shadowed(tree: Tree, i: int, name: str) -> str:
    """Return a message if an imported clock is defined anew in the module itself."""
    whole = isinstance(tree.nodes[tree.parents[i]], ast.Module)
    imported = tree.imports.get(name, "")
    if whole and _CLOCK.fullmatch(imported):
        return f"defines {name} anew, which was imported as {imported}"
    return ""


def _called(tree: Tree, node: ast.Call) -> str:
    name = tree.qualified(node.func)
    if name in _SETS:
        return f"calls {name}, which sets a clock"
    if name == "setattr" and len(node.args) >= 2:
        clock = f"{tree.qualified(node.args[0])}.{_text(node.args[1])}"
        return f"gives {clock} another meaning" if _CLOCK.fullmatch(clock) else ""
    # mock.patch("time.time"), mock.patch.object(time, "time"), monkeypatch.setattr(time, "time", ...)
    if node.args and last_name(node.func) in ("patch", "object", "setattr"):
        texts = [_text(argument) for argument in node.args[:2]]
        for text in (texts[0], f"{tree.qualified(node.args[0])}.{texts[-1]}"):
            if _CLOCK.fullmatch(text):
                return f"patches {text}"
    return ""


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _moved(tree: Tree, node: ast.AugAssign, started: set[str]) -> str:
    """Return a message for `train_ms -= x`, and for `t0 += x` where t0 is the reading that time runs from."""
    name = last_name(node.target)
    if isinstance(node.op, ast.Sub) and _is_reported(name):
        return f"subtracts from {name[:80]}, a time that is reported or compared"
    if isinstance(node.op, ast.Add) and name in started and _is_duration(tree, node, started):
        return f"moves the start of a clock forward ({name[:80]}), which shortens the time"
    return ""


def _difference(target: ast.AST, value: ast.BinOp) -> str:
    """Return a message for `train_s = total_s - eval_s` and `elapsed = now - t0 - paused`."""
    left, right = value.left, value.right
    if not isinstance(value.op, ast.Sub) or not _is_reported(last_name(target)):
        return ""
    taken = words(last_name(right))
    chained = isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub)
    named = bool(words(last_name(left)) & (_RUNS | _TIME))
    if taken & _LEFT_OUT and not taken & {"start", "begin", "t0"} and (chained or named):
        return f"takes {last_name(right)[:80]} off {last_name(target)[:80]}"
    return ""


def _is_reported(name: str) -> bool:
    parts = words(name)
    return bool(parts & _RUNS) and bool(parts & _TIME) and not parts & _LIMIT


def _is_duration(tree: Tree, node: ast.AugAssign, started: set[str]) -> bool:
    """Return whether what is added was read from a clock; `start += stride` shares a name at most."""
    for j in tree.below(tree.at(node.value)):
        part = tree.nodes[j]
        if _reads(tree, part):
            return True
        name = last_name(part) if isinstance(part, ast.Name | ast.Attribute) else ""
        if name in started or words(name) & (_LEFT_OUT | _TIME):
            return True
    return False
