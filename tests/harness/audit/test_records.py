"""Published records of a contest, with facts that were worked out by hand: how many of them are read.

The records lie in shared/records beside the checkout, and are not part of it. `python -m
tests.harness.audit.test_records` prints what is read of each kind, and every miss.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checks.published import Found, Log, Published, Value, mean, std
from harness.audit.discovery import find_folders
from harness.audit.folder import read_folder
from harness.audit.text import decode

RECORDS = Path(__file__).parents[4] / "shared" / "records"
pytestmark = pytest.mark.skipif(
    not (RECORDS / "facts.json").is_file(), reason="no shared/records beside the checkout"
)
RECOVERED, WRONG = 0.97, 0.01
Case = tuple[str, Any, Any, bool]
"""A kind of value, what it is, what was read, and whether that is said to be ambiguous."""


@pytest.fixture(scope="module")
def facts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((RECORDS / "facts.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def records() -> dict[str, Published]:
    folders = [(str(path.relative_to(RECORDS)), path) for path in find_folders([RECORDS])]
    return {name: read_folder(path, name) for name, path in folders}


def one(kind: str, wanted: Any, found: Found[Any]) -> Case:
    return kind, wanted, found.value, bool(found.candidates)


def of_claims(fact: dict[str, Any], record: Published) -> Iterator[Case]:
    claims = record.claims
    if claims is None or fact is None:
        return
    yield "json: strict", fact["strict_json"], claims.strict_json, False
    yield one("json: val_bpb", fact["claimed_val_bpb"], claims.val_bpb)
    yield one("json: val_loss", fact["claimed_val_loss"], claims.val_loss)
    yield one("json: bytes", fact["claimed_bytes"], claims.bytes_total)
    yield "json: seeds", fact["claimed_seeds"], list(claims.seeds), False
    per_seed = {str(c.seed): c.val_bpb.value for c in claims.per_seed if c.val_bpb}
    yield "json: per seed", fact["claimed_per_seed_val_bpb"], per_seed, False
    times = {value.words: value.value for value in claims.eval_s}
    yield "json: evaluation", fact["claimed_eval_seconds"], times, False


def of_log(fact: dict[str, Any], log: Log | None) -> Iterator[Case]:
    if log is None:
        yield "log", fact["log"], None, False
        return
    yield one("log: seed", fact["seed_logged"], log.seed)
    yield "log: seed in name", fact["seed_in_file_name"], log.seed_in_name, False
    yield one("log: bytes", fact["counted_bytes"], log.counted)
    yield one("log: training", fact["train_stop_ms"], log.stop_ms)
    yield one("log: evaluation", fact["total_eval_time_s"], log.total_eval_s)
    yield one("log: tokens", fact["val_tokens"], log.val_tokens)
    yield one("log: ranks", fact["ranks"], log.ranks)
    read = [score.val_bpb for score in log.scores]
    for metric in fact["final_metrics"]:
        bpb = metric["val_bpb"]
        # A rounded line and the exact one after it are one score.
        yield "log: score", bpb, bpb if any(abs(b - bpb) <= 6e-5 for b in read) else None, False


def of_headline(fact: dict[str, Any], record: Published) -> Iterator[Case]:
    runs = record.headline.runs
    losses = [run.score.val_loss for run in runs]
    bpbs = [run.score.val_bpb for run in runs]
    ambiguous = any(run.others for run in runs)
    yield "headline: bpb", fact["mean_val_bpb"], mean(bpbs), ambiguous
    yield "headline: loss", fact["mean_val_loss"], mean(losses), ambiguous
    yield "headline: deviation", fact["std_val_bpb"], std(bpbs), ambiguous
    yield "headline: runs", fact["n"], len(runs), False
    yield "headline: holds", fact["reproduces_claim"], record.headline.reproduces, False


def cases(facts: list[dict[str, Any]], records: dict[str, Published]) -> Iterator[tuple[str, Case]]:
    for fact in facts:
        record = records[fact["id"]]
        logs = {log.name: log for log in record.logs}
        for case in of_claims(fact["json"], record):
            yield fact["id"], case
        for of_one in fact["logs"] or ():
            for case in of_log(of_one, logs.get(of_one["log"])):
                yield fact["id"], case
        for case in of_headline(fact["headline"], record):
            yield fact["id"], case


def same(wanted: Any, read: Any) -> bool:
    if isinstance(wanted, float) and isinstance(read, float):
        return abs(wanted - read) <= 1e-6 + 1e-4 * (abs(wanted) < 1e-3)
    return bool(wanted == read)


def test_every_record_is_found(facts: list[dict[str, Any]], records: dict[str, Published]) -> None:
    assert set(records) == {fact["id"] for fact in facts}


def tally(
    facts: list[dict[str, Any]], records: dict[str, Published]
) -> tuple[Counter[str], Counter[str], Counter[str], list[str]]:
    """Return, by kind, how many facts are known, read right and silently wrong; and a line for each miss."""
    known, right, wrong = Counter[str](), Counter[str](), Counter[str]()
    misses = []
    for name, (kind, wanted, read, ambiguous) in cases(facts, records):
        if wanted is None:
            continue
        known[kind] += 1
        right[kind] += same(wanted, read)
        silent = not same(wanted, read) and read is not None and not ambiguous
        wrong[kind] += silent
        if not same(wanted, read):
            misses.append(f"{name}: {kind}: {wanted!r}, not {read!r}" + " (silently)" * silent)
    return known, right, wrong, misses


def test_nearly_all_facts_are_read_and_hardly_any_is_wrong(
    facts: list[dict[str, Any]], records: dict[str, Published]
) -> None:
    known, right, wrong, misses = tally(facts, records)
    report = "\n".join(
        [*misses, *(f"{kind}: {right[kind]} of {known[kind]}" for kind in sorted(known))]
    )
    assert known.total() > 2000
    assert right.total() >= RECOVERED * known.total(), report
    assert wrong.total() <= WRONG * known.total(), report
    for kind, count in known.items():
        assert right[kind] >= RECOVERED * count - 1, report


def test_every_value_is_where_it_is_said_to_be(records: dict[str, Published]) -> None:
    """The digits of a number stand in the line that it is said to come from."""

    def values(record: Published) -> Iterator[Value[Any]]:
        for log in record.logs:
            for found in (log.seed, log.counted, log.val_tokens, log.ranks):
                yield from found.values
        if record.claims is not None:
            for found in (record.claims.val_bpb, record.claims.val_loss, record.claims.bytes_total):
                yield from found.values

    checked = 0
    for name, record in records.items():
        lines: dict[str, list[str]] = {}
        for value in values(record):
            if value.file not in lines:
                data = (RECORDS / name / value.file).read_bytes()
                lines[value.file] = decode(data)[0].split("\n")
            line = lines[value.file][value.line - 1].replace(",", "").replace("_", "")
            assert f"{value.value}".rstrip("0") in line, (name, value)
            checked += 1
    assert checked > 800


if __name__ == "__main__":
    all_facts = json.loads((RECORDS / "facts.json").read_bytes())
    found = {
        name: read_folder(path, name)
        for path in find_folders([RECORDS])
        for name in (str(path.relative_to(RECORDS)),)
    }
    of_known, of_right, of_wrong, of_misses = tally(all_facts, found)
    for of_kind in sorted(of_known):
        print(f"{of_kind:<20} {of_right[of_kind]:>5} of {of_known[of_kind]:>5}")
    print(
        f"{'all':<20} {of_right.total():>5} of {of_known.total():>5}, silently wrong: {of_wrong.total()}"
    )
    print(*of_misses, sep="\n")
