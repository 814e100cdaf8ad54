"""The wall clock jumps: nothing is measured by it, and nothing follows from it."""

import ast
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import EXIT_PASS
from harness.journal import events

MONOTONIC = {"CLOCK_MONOTONIC", "clock_gettime", "monotonic", "sleep"}
OTHERS = {
    ("clock.py", "now"),
    *(("attempts.py", name) for name in ("CLOCK_REALTIME", "clock_settime", "time")),
}
"""The one place that reads a date, `utc_now`, for people; and a cell's attempt to set the clock."""
SOURCES = sorted(Path(harness.__file__).parent.rglob("*.py"))

JUMPS = """
import datetime, itertools, sys, time
from harness import clock, journal, run
jumps = itertools.cycle(["2031-05-05T05:05:05Z", "1999-12-31T23:59:59Z", "2020-02-29T00:00:00Z"])
clock.utc_now = journal.utc_now = run.utc_now = lambda: next(jumps)
time.time = lambda hours=itertools.count(1 << 31, -3600): float(next(hours))
from harness.cli import main
main()
"""


def clocks(source: str) -> list[tuple[int, str]]:
    """Return (line, name) of everything in a module that reads a clock."""
    found = []
    nodes = list(ast.walk(ast.parse(source)))
    # Elsewhere a time is one phase's, with its outcome.
    module = any(
        name.name == "time" for node in nodes if isinstance(node, ast.Import) for name in node.names
    )
    for node in nodes:
        if isinstance(node, ast.Attribute):
            value = node.value
            if module and isinstance(value, ast.Name) and value.id == "time":
                found.append((node.lineno, node.attr))
            if node.attr in ("now", "utcnow", "today", "fromtimestamp", "st_mtime", "st_ctime"):
                found.append((node.lineno, node.attr))
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [(node.lineno, name.name) for name in node.names]
    return found


def test_what_reads_a_clock_is_seen():
    source = (
        "import time\ntime.time()\nfrom time import perf_counter\ndatetime.now(UTC)\nx.st_mtime"
    )
    assert [name for _, name in sorted(clocks(source))] == [
        "time",
        "perf_counter",
        "now",
        "st_mtime",
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_the_monotonic_clock_is_read(path):
    for line, name in clocks(path.read_text("utf-8")):
        assert name in MONOTONIC or (path.name, name) in OTHERS, f"{path}:{line}: {name}"


def test_a_run_across_jumps_in_both_directions(bench, honest, quick):
    """Killed by nothing, hurried by nothing: and resumed by a judge that believes it is years earlier."""
    wrapped = [sys.executable, "-c", JUMPS]
    given = ["--seeds", "5", "--ruleset", quick, "--data", bench.data, "--out", bench.out, "--json"]
    ended = bench.started([*wrapped, "run", honest, *given]).ended()
    assert ended.status == EXIT_PASS, ended.err
    assert all(0.0 <= phase["wall_s"] < 60.0 for phase in ended.report["seeds"][0]["phases"])
    dates = [event["utc"][:4] for event in events(ended.run)]
    assert set(dates) == {"2031", "1999", "2020"}
    (ended.run / "seeds" / "5" / "challenge.json").unlink()
    again = bench.started([*wrapped, "run", "--resume", ended.run, "--json"]).ended()
    assert again.verdict() == ended.verdict()
