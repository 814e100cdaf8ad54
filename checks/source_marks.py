"""Names that speak of validation data, of evaluating, of calibrating: what several `source` checks go by.

Does not catch: a script that calls its validation tokens `data`, or its training tokens `val_tokens`. Names
are all that a reader of the source has, until it runs.
"""

from __future__ import annotations

import ast
import re

from checks.source_tree import words

_VALIDATION = frozenset({"val", "validation"})
_VALID = frozenset({"valid"})
_DATA = frozenset(
    "tokens token tok toks files file data loader path paths pattern patterns glob shard shards dataset "
    "datasets docs doc documents seqs sequences stream ids batch batches iter text x y inputs targets bin "
    "np tensor split dir chunk chunks".split()
)
_FEWER = frozenset(
    {"files", "file", "data", "loader", "path", "shard", "shards", "dataset", "split"}
)
"""After `valid` only these speak of a data set: valid_tokens is mostly a mask."""
_COUNTS = frozenset(
    "loss bpb bpt every count num n len size sum steps step time ms freq interval max min total".split()
)
_PATH = re.compile(r"(?:^|[_/\-*.])val(?:id|idation)?(?:[_/\-*.\d]|$)")

EVALUATES = frozenset(
    "eval evaluate evaluation validate score scoring bpb ppl perplexity test".split()
)
CALIBRATES = frozenset(
    "hessian hessians calib calibrate calibration gptq awq quantize quantise quantization".split()
)
TRAINS = frozenset("train training trainer pretrain finetune fit".split())


def is_validation(name: str) -> bool:
    """Return whether an identifier names validation data, and not a loss or a count of it."""
    parts = words(name)
    if parts & _COUNTS:
        return False
    return bool(parts & _VALIDATION and parts & _DATA) or bool(parts & _VALID and parts & _FEWER)


def is_validation_path(text: str) -> bool:
    """Return whether a text is a file name or a pattern of validation shards."""
    return len(text) < 300 and (".bin" in text or "*" in text) and bool(_PATH.search(text))


def marks(node: ast.AST) -> str:
    """Return what speaks of validation data in one node, without those below it; or ""."""
    if isinstance(node, ast.Name):
        return node.id if isinstance(node.ctx, ast.Load) and is_validation(node.id) else ""
    if isinstance(node, ast.Attribute):
        return node.attr if isinstance(node.ctx, ast.Load) and is_validation(node.attr) else ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value if is_validation_path(node.value) else ""
    return ""
