"""`harness stats`: what was worked out of numbers alone, as plain JSON values and as text.

The verdict comes first, then both samples, both tests under both null hypotheses, and what would suffice.
Names are a baseline file's or a ruleset's words, which may be anybody's; markup is never interpreted.

Does not decide anything: the finding is the check's. Loads rich: import this module inside a function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from checks.contract import Finding, Margin, Status
from checks.stats_margin import CONFIDENCE, Comparison, Reading, Sample
from harness.report.escape import for_terminal
from harness.report.figures import count, figure, quantity, versus
from harness.report.text import WIDTH
from harness.ruleset import BaselineFile, Loaded

SCHEMA_VERSION = "1.0"
TRUST = (
    "From numbers alone: that they are valid scores, of seeds that nobody chose, on the baseline's text, "
    "is taken on trust."
)

_STYLES = {Status.PASS: "green", Status.FAIL: "red", Status.NOT_RUN: "yellow"}
_TESTS = {"welch": "Welch", "one-sample": "one-sample t"}
_NARROWEST = 80
"""Columns that the tables need."""
_NAME, _MESSAGE = 60, 600
"""Characters printed of a name and of the verdict's sentence; JSON has them whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A baseline file and the SHA-256 of its bytes."""

    file: BaselineFile
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Scores as given, in `unit`, and what came of them.

    `sample` is in nats per token of the baseline's tokenizer; where there is no baseline, of their own.
    `comparison` is None where the check did not get as far, and the finding's message says why.
    """

    finding: Finding
    rules: Loaded
    against: Against | None
    given: tuple[float, ...]
    unit: str
    bytes_per_token: float | None
    """Of the scores' own tokenizer, where it was given."""
    basis: str
    """How scores and baseline came to one unit: "per token", "through bytes", "from bits per byte", or ""."""
    sample: Sample
    baseline: Sample | None
    comparison: Comparison | None

    @property
    def margin(self) -> Margin:
        """The statistical question."""
        return self.rules.ruleset.margin()


def plain(stats: Stats) -> dict[str, Any]:
    """Return everything as plain JSON values; None stands for what is undefined, and nothing is NaN."""
    rules, against, compared = stats.rules, stats.against, stats.comparison
    readings = compared.readings if compared else ()
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": str(stats.finding.status),
        "message": stats.finding.message,
        "ruleset": {
            "name": rules.ruleset.name,
            "version": rules.ruleset.version,
            "sha256": rules.sha256,
            **asdict(stats.margin),
        },
        "baseline": None
        if against is None or stats.baseline is None
        else {
            "name": against.file.name,
            "date": against.file.date,
            "source": against.file.source,
            "sha256": against.sha256,
            "seeds": list(against.file.seeds),
            "bytes_per_token": against.file.bytes_per_token,
            **asdict(stats.baseline),
        },
        "given": {
            "scores": list(stats.given),
            "unit": stats.unit,
            "bytes_per_token": stats.bytes_per_token,
        },
        "basis": stats.basis or None,
        "sample": asdict(stats.sample),
        "improvement_nats": compared.improvement_nats if compared else None,
        "improvement_ci": compared.improvement_ci if compared else None,
        "readings": [
            {**asdict(reading), "decides": not index} for index, reading in enumerate(readings)
        ],
        "sufficient_nats": compared.sufficient_nats if compared else None,
        "seeds_needed": compared.seeds_needed if compared else None,
        "seeds_note": compared.seeds_note if compared else None,
    }


def render(stats: Stats, console: Console) -> str:
    """Return the text for a console: in colour if it is a terminal, else plain and at least 100 wide.

    A terminal below 80 columns wraps the lines itself: no number is cut in two to fit. Where the output
    cannot write a character, its escape is written.
    """
    console.width = max(console.width, _NARROWEST if console.is_terminal else WIDTH)
    with console.capture() as captured:
        for part in _parts(stats):
            console.print(part, highlight=False, markup=False, emoji=False)
            console.print()
    lines = (line.rstrip() for line in captured.get().splitlines())
    text = "\n".join(lines).strip("\n") + "\n"
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)


def _parts(stats: Stats) -> Iterator[RenderableType]:
    yield _verdict(stats)
    yield _section("Nats per token", _samples(stats))
    if stats.comparison:
        yield _section("Tests, one-sided", _tests(stats.comparison.readings, stats.margin))
        yield _section("What would suffice", _enough(stats.comparison))
    yield Text(TRUST, style="dim")


def _section(title: str, part: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), Padding(part, (0, 0, 0, 2)))


def _verdict(stats: Stats) -> RenderableType:
    style = _STYLES.get(stats.finding.status, "magenta")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(
        Text(f" {stats.finding.status} ", style=f"bold reverse {style}"),
        Text(for_terminal(_sentence(stats), _MESSAGE), style=f"bold {style}"),
    )
    margin = stats.margin
    null = _null(margin.margin_nats if margin.margin_in_null else 0.0)
    asks = (
        f"ruleset {for_terminal(stats.rules.ruleset.name, _NAME)}: {_TESTS[margin.test]}, "
        f"p < {margin.alpha:g} for H0 “{null}”, {count(margin.min_seeds, 'seed')} or more"
    )
    return Group(grid, *(Text(line, style="dim") for line in (asks, _basis(stats)) if line))


def _sentence(stats: Stats) -> str:
    """Return the finding's message with a long name cut short, so that the figures are not what goes."""
    name = stats.against.file.name if stats.against else ""
    short = name if len(name) <= _NAME else f"{name[:_NAME]}…"
    return stats.finding.message.replace(name, short) if name else stats.finding.message


def _basis(stats: Stats) -> str:
    if stats.against is None or stats.basis == "per token":
        return ""
    rate = f"{stats.against.file.bytes_per_token:.10g}"
    if stats.basis == "through bytes":
        return f"scores times {rate} / {stats.bytes_per_token:.10g}, bytes per token of both tokenizers"
    return f"scores are bits per byte times ln 2 times {rate}, the baseline's bytes per token"


def _columns(rows: Sequence[Sequence[str]], left: int) -> Table:
    """Return a table whose first row is its heading and whose first `left` columns hold words."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for index, _ in enumerate(rows[0]):
        table.add_column(justify="left" if index < left else "right", overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*(Text(cell, style="" if number else "dim") for cell in row))
    return table


def _samples(stats: Stats) -> Table:
    rows = [("", "n", "mean", "deviation", f"{CONFIDENCE:.0%} interval")]
    rows.append(("scores", *_sample(stats.sample)))
    if stats.baseline:
        rows.append(("baseline", *_sample(stats.baseline)))
    if stats.comparison:
        gained = stats.comparison
        interval = _interval(gained.improvement_ci)
        rows.append(("improvement", "", _nats(gained.improvement_nats), "", interval))
    return _columns(rows, 1)


def _sample(sample: Sample) -> tuple[str, str, str, str]:
    deviation = "unknown" if sample.std is None else figure(sample.std)
    number = f"{len(sample.nats_per_token):,}"
    return number, _nats(sample.mean), deviation, _interval(sample.ci)


def _interval(ends: tuple[float, float] | None) -> str:
    return "none" if ends is None else f"{_nats(ends[0])} to {_nats(ends[1])}"


def _nats(value: float) -> str:
    return figure(value, "nats/token")


def _tests(readings: Sequence[Reading], margin: Margin) -> RenderableType:
    rows = [("test", "null hypothesis", "t", "df", "p", "")]
    for index, reading in enumerate(readings):
        decides = "" if index else "decides"
        if reading.p is None or reading.t is None or reading.df is None:
            cells = ("-", "-", "undefined", decides)
        else:
            # The one that decides is written with the digits it takes to differ from alpha.
            p = figure(reading.p) if index else versus(reading.p, margin.alpha).split(" ")[0]
            cells = (f"{reading.t:.4g}", f"{reading.df:.3g}", p, decides)
        rows.append((_TESTS[reading.test], _null(reading.margin_nats), *cells))
    why = dict.fromkeys(f"{_TESTS[r.test]}: {r.undefined}" for r in readings if r.undefined)
    return Group(_columns(rows, 2), *(Text(line, style="dim", overflow="fold") for line in why))


def _null(margin_nats: float) -> str:
    return f"better by no more than {margin_nats:g}" if margin_nats else "no better at all"


def _enough(compared: Comparison) -> Table:
    if compared.sufficient_nats is None:
        sufficient = "undefined, as p is"
    else:
        sufficient = (
            f"more than {quantity(compared.sufficient_nats, 'nats/token')}, with this deviation"
        )
    if compared.seeds_needed is None:
        needed = compared.seeds_note
    else:
        needed = f"{compared.seeds_needed:,}, if mean and deviation stay as they are"
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(Text("improvement", style="dim"), Text(sufficient, overflow="fold"))
    grid.add_row(Text("seeds", style="dim"), Text(needed, overflow="fold"))
    return grid
