"""A published record's submission.json and logs: anything is read, and what is read can be written again.

The first byte chooses: 0 is a submission.json, 1 a log; the rest is the file.
"""

from __future__ import annotations

import math

import msgspec

from checks.published import Claims, Found, Log, Score
from harness.audit.claimed import read_claims
from harness.audit.headline import find_headline
from harness.audit.json_lines import MAX_DEPTH, MAX_VALUES, read_json
from harness.audit.log import MAX_PROCESSES, MAX_SCORES, MAX_STATED, read_log
from harness.audit.text import read
from tests.fuzz.scratch import scratch

WORDS = (
    *(
        b'"val_bpb": ',
        b'"val_loss": ',
        b'"seeds": [',
        b'"seed_results": {"42": {',
        b'"bytes_total": ',
    ),
    *(
        b"val_bpb:1.0812 ",
        b"val_loss=1.8",
        b"seed: 42\n",
        b"Total submission size: 15,912,345 bytes",
    ),
    *(
        b"step:1/2 train_time:5ms",
        b"stopping_early: x train_time:5ms",
        b"\x1b[1m",
        b"\xff\xfe",
        b"\r",
    ),
    *(
        b"1e999",
        b"NaN",
        b"\\ud800",
        b"// ",
        b"/*",
        b",}",
        b"[[[[",
        b"[rank0]: ",
        b"2026-04-01 12:00:00 ",
    ),
)


def one(data: bytes) -> bool:
    """Return whether the claims are strict JSON that claims a score, or a score was found in the log."""
    if not data or data[0] % 2 == 0:
        return _claims(data[1:])
    path = scratch() / "train_seed42.log"
    path.write_bytes(data[1:])
    text = read(path)
    logs = read_log(path.name, text)
    assert 1 <= len(logs) <= MAX_PROCESSES + 1
    lines = data.count(b"\n") + 1
    for log in logs:
        _check_log(log, lines)
    claims = read_claims("submission.json", read_json(b'{"val_bpb": 1.08}'))
    headline = find_headline(claims, logs)
    assert headline.reproduces in (True, False, None)
    assert all(run.log in logs for run in headline.runs)
    return any(log.scores for log in logs)


def _claims(data: bytes) -> bool:
    parsed = read_json(data)
    assert parsed.strict or parsed.error
    assert len(parsed.entries) <= MAX_VALUES
    assert all(len(entry.path) <= MAX_DEPTH for entry in parsed.entries)
    lines = data.count(b"\n") + 1
    assert all(0 < entry.line <= lines for entry in parsed.entries)
    claims = read_claims("submission.json", parsed)
    assert msgspec.json.encode(claims)
    assert type(claims) is Claims
    _check_found(claims.val_bpb, lines)
    _check_found(claims.bytes_total, lines)
    return parsed.strict and claims.val_bpb.best is not None


def _check_log(log: Log, lines: int) -> None:
    assert msgspec.json.encode(log)
    assert len(log.scores) <= MAX_SCORES
    assert len(log.seed.values) <= MAX_STATED
    for found in (log.seed, log.counted, log.stop_ms, log.val_tokens, log.ranks, log.total_eval_s):
        _check_found(found, lines)
    for score in log.scores:
        assert type(score) is Score
        assert 0 < score.val_bpb < math.inf
        assert score.val_loss is None or math.isfinite(score.val_loss)
        assert int(score.place.rpartition(":")[2]) <= lines


def _check_found(found: Found[float] | Found[int], lines: int) -> None:
    for value in found.values:
        assert 0 <= value.value < 10**18
        assert 0 < value.line <= lines
