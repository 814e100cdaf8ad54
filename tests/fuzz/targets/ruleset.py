"""A ruleset: every number finite and in its range, every required check known, named once."""

from __future__ import annotations

import math

import msgspec

from checks import ORDER
from harness import ruleset
from harness.errors import RulesetError
from tests.fuzz import toml

SECTIONS = tuple(
    field.type
    for field in msgspec.structs.fields(ruleset.Ruleset)
    if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
)
WORDS = (*toml.words(ruleset.Ruleset, *SECTIONS), *(check.encode() for check in ORDER))
MAY_BE_ZERO = {
    "train_grace_s",
    "score_grace_s",
    "blind",
    "future",
    "target",
    "target_tokens",
    "target_whole",
    "repeat",
    "min_span",
}


def one(data: bytes) -> bool:
    rules = toml.parsed(ruleset.parse, RulesetError, data)
    if rules is None:
        return False
    toml.comes_back(rules)
    for section in msgspec.structs.asdict(rules).values():
        if isinstance(section, msgspec.Struct):
            _in_range(section)
    required = rules.verdict.required
    assert set(required) <= set(ORDER)
    assert len(set(required)) == len(required)
    limits = rules.tolerances()
    assert 0 < limits.floor_nats <= limits.cap_nats
    assert 0 < limits.gain_limit_nats < rules.stats.threshold_nats
    assert rules.margin().min_seeds >= 2
    return True


def _in_range(section: msgspec.Struct) -> None:
    for name, value in msgspec.structs.asdict(section).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert math.isfinite(value)
            assert value >= 0 if name in MAY_BE_ZERO else value > 0, name
