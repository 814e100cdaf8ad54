"""A baseline: as many finite scores as seeds, each seed once."""

from __future__ import annotations

import math

from harness import ruleset
from harness.errors import RulesetError
from tests.fuzz import toml

WORDS = toml.words(ruleset.BaselineFile)


def one(data: bytes) -> bool:
    read = toml.parsed(ruleset.parse_baseline, RulesetError, data)
    if read is None:
        return False
    toml.comes_back(read)
    record = read.record()
    assert len(record.seeds) == len(record.nats_per_token) == len(set(record.seeds)) > 0
    assert all(0 < nats < math.inf for nats in record.nats_per_token)
    assert 0 < record.bytes_per_token < math.inf
    assert read.tokens > 0
    return True
