"""evidence.bytes: by its own log, code and model are within the cap.

The contest has counted code in several ways: as the log counts it, compressed or minified; the file as it is;
all source files of the folder. Each that the files allow is worked out; the log's own number decides, as the
organisers decided by it. Does not catch: bytes that no log counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from checks.contract import Finding, Status
from checks.published import Found, Published, Run, Value, one_side, several
from checks.published_limits import Limits

ID = "evidence.bytes"
SCRIPT = "train_gpt.py"
PLAIN = "with the code uncompressed"
AS_IT_LIES = f"with {SCRIPT} as it lies"
ALL_SOURCE = "with all source files as they lie"
_PACKED = re.compile(
    r"int\d|zlib|lzma|zstd|brotli|gzip|(?<!un)packed|(?<!un)compressed|quantized", re.IGNORECASE
)
_TIMES = 2
"""Times a packed total from which an earlier one counts as that of the weights before they were packed."""


def check(record: Published, limits: Limits) -> Finding:
    """Hold the largest logged total against the cap, and say what the other ways of counting code give.

    `measured` and `limit` are bytes. A line that counts the model alone is named as such. Of several totals
    in one log the last is the measured one; FAIL only where all of them are over, that of the raw weights
    aside. NOT-RUN: no total, or several in one log on both sides of the cap.
    """
    runs = record.headline.runs
    found = _largest(runs, limits)
    if found is None:
        words = "no size of the submission in whole bytes is read from the logs"
        return _finding(Status.NOT_RUN, None, words, None, limits)
    largest, states = found
    over = largest.value > limits.cap_bytes
    says = f"{largest.place}: {largest.value:,} bytes of {limits.cap_bytes:,}"
    if any(run.counted_kind == "artifact_line" for run in runs):
        says += f" (the line says {largest.words!r}: code may be missing)"
    ways = _other_ways(record)
    every = {"as logged": largest.value, **ways}
    outcome = "over" if over else "within"
    if one_side(states, limits.cap_bytes) is None:
        says += f"; {several(f'{value:,}' for value in states[:4])}"
        return _finding(Status.NOT_RUN, outcome, says, largest.value, limits, every)
    totals = sorted({value.value for run in runs for value in run.counted.candidates})
    if totals:
        listed = ", ".join(f"{value:,}" for value in totals[:4])
        says += f" (the logs have several totals: {listed})"
    for words, value in ways.items():
        if value > limits.cap_bytes and not over:
            says += f"; {words}: {value:,}, over"
    status = Status.FAIL if over else Status.PASS
    return _finding(status, outcome, says, largest.value, limits, every)


def _largest(runs: Sequence[Run], limits: Limits) -> tuple[Value[int], list[int]] | None:
    """Return the largest of the runs' totals, and all that its log states.

    One whose log states nothing but totals over the cap goes before one that may be, and that before others.
    """
    found = [(total, _states(run.counted)) for run in runs if (total := run.counted.best)]
    order = (False, None, True)
    return max(
        found,
        key=lambda pair: (order.index(one_side(pair[1], limits.cap_bytes)), pair[0].value),
        default=None,
    )


def _states(counted: Found[int]) -> list[int]:
    """Return the totals that one log states, without those of the weights before they were packed.

    The usual trainer prints "Total submission size" of both, in the same words but for the packing's name.
    """
    packed = {v.value for v in counted.values if _PACKED.search(v.words)}
    return [
        value.value
        for value in counted.candidates or counted.values[-1:]
        if value.value in packed
        or not any(_TIMES * one <= value.value for one in packed)
        or value is counted.best
    ]


def _other_ways(record: Published) -> dict[str, int]:
    """Return what other ways of counting the code give at most: the counted code is exchanged for another."""
    ways: dict[str, int] = {}
    for run in record.headline.runs:
        plain, small = _codes(record, run)
        counted = run.counted.value
        if counted is None or not (plain or small):
            continue
        model = counted - (small or plain)[-1]
        for words, code in _ways(record.scripts, plain if small else ()):
            ways[words] = max(ways.get(words, 0), model + code)
    return ways


def _codes(record: Published, run: Run) -> tuple[list[int], list[int]]:
    """Return the sizes of the code that a run's logs state: as it is, and compressed."""
    plain: list[int] = []
    small: list[int] = []
    for log in record.logs:
        if log.name in (run.log.name, *run.joined):
            for value in log.codes.values:
                words = value.words.lower()
                packed = "compressed" in words and "uncompressed" not in words
                (small if packed else plain).append(value.value)
    return plain, small


def _ways(scripts: Sequence[Value[int]], plain: Sequence[int]) -> list[tuple[str, int]]:
    ways = [(PLAIN, plain[-1])] if plain else []
    ways += [(AS_IT_LIES, value.value) for value in scripts if value.file == SCRIPT]
    if scripts:
        ways.append((ALL_SOURCE, sum(value.value for value in scripts)))
    return ways


def _finding(
    status: Status,
    outcome: str | None,
    message: str,
    value: float | None,
    limits: Limits,
    ways: dict[str, int] | None = None,
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=value,
        limit=float(limits.cap_bytes),
        unit="bytes",
        evidence={"outcome": outcome} if ways is None else {"outcome": outcome, "ways": ways},
    )
