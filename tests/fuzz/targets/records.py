"""A run's own files, which a submission of the same user may have written to: records and the journal.

The first byte chooses the kind of record, or the journal; the rest is the file.
"""

from __future__ import annotations

from checks.contract import Artifact, Breach, Challenge, Credited, PhaseTime, TextBytes
from harness.errors import JudgeError
from harness.examine import Examined
from harness.journal import events, read_record, write_record
from harness.phases import Scored, Trained
from harness.run import Plan
from harness.seal import Snapshot
from tests.fuzz.scratch import scratch
from tests.fuzz.targets import refused

KINDS = (Plan, Trained, Artifact, Scored, Examined, TextBytes, None)
PARTS = (*KINDS[:-1], Snapshot, PhaseTime, Credited, Breach, Challenge)
WORDS = (
    *{f'"{name}":'.encode() for kind in PARTS for name in kind.__annotations__},
    *(b'"done"', b'"event":"started"', b"null", b"NaN", b"1e309", b"[[[[", b"\\ud800"),
)


def one(data: bytes) -> bool:
    kind = KINDS[data[0] % len(KINDS)] if data else None
    return _journal(data[1:]) if kind is None else _record(kind, data[1:])


def _record(kind: type, file: bytes) -> bool:
    path = scratch() / "record.json"
    path.write_bytes(file)
    try:
        found = read_record(path, kind)
    except JudgeError as error:
        return refused(error, f"{path}: ")
    assert type(found) is kind
    write_record(path, found)
    assert read_record(path, kind) == found
    return True


def _journal(file: bytes) -> bool:
    (scratch() / "journal.jsonl").write_bytes(file)
    found = events(scratch())
    assert len(found) <= len(file.splitlines())
    assert all("event" in event for event in found)
    return bool(found)
