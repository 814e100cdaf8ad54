"""What is shown of a comparison: a headline, notes, and titled tables; text and Markdown lay out the same.

Words here are as the reports have them; `harness.report.tables` makes them harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.compare.model import (
    Change,
    Comparison,
    Document,
    Documents,
    Figure,
    Interval,
    Score,
)
from harness.report.escape import for_markdown, for_terminal
from harness.report.figures import count, figure, percent, seconds, seed_name
from harness.report.tables import Table, blocks, markdown
from harness.report.text import WIDTH

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

NONE = "–"
_MOST_SEEDS = 20
"""Seeds that are listed one by one; JSON has them all."""
_SENTENCE = 400
"""Characters shown of a note."""
_NARROWEST = 60
_BOTH = (("", False), ("A", False), ("B", False))
_MEASURED = (("", False), ("A", True), ("B", True), ("B minus A", True))


def render_markdown(comparison: Comparison) -> str:
    """Return the whole comparison as Markdown."""
    parts = [f"## {for_markdown(headline(comparison))}\n"]
    if comparison.notes:
        parts.append("".join(f"- {for_markdown(n, _SENTENCE)}\n" for n in comparison.notes))
    parts += [markdown(table, level=3) for table in tables(comparison)]
    return "\n".join(parts)


def render_text(comparison: Comparison, console: Console) -> str:
    """Return the text for a console: in colour if it is one with colours, else plain.

    A pipe gets lines of at least 100 characters. Where the output cannot write a character, its escape is
    written.
    """
    console.width = max(console.width, _NARROWEST if console.is_terminal else WIDTH)
    with console.capture() as captured:
        for part in _parts(comparison):
            console.print(part, highlight=False, markup=False, emoji=False)
    lines = (line.rstrip() for line in captured.get().splitlines())
    text = "\n".join(lines).strip("\n") + "\n"
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(headline(comparison), style="bold", overflow="fold")
    for note in comparison.notes:
        yield Padding(Text(f"- {for_terminal(note, _SENTENCE)}", overflow="fold"), (0, 0, 0, 2))
    for table in tables(comparison):
        yield Text("")
        yield from blocks(table)


def headline(comparison: Comparison) -> str:
    """Return what the comparison comes to, in a sentence or two; figures alone, nobody's words."""
    score = comparison.score
    if score is None:
        side = "A" if not comparison.a.seeds else "B"
        return f"{side} has no score, so there is no difference"
    gap, unit = score.difference, score.unit
    if not gap:
        says = f"B scores as A does, to the last digit of {unit}"
    else:
        way = "better" if gap < 0 else "worse"
        says = f"B is {figure(abs(gap), unit)} {unit} {way} than A"
    return f"{says}: {_test(score)}"


def _test(score: Score) -> str:
    sizes = len(score.a.nats), len(score.b.nats)
    if score.paired:
        how = f"paired over {count(sizes[0], 'seed')}"
    else:
        how = f"means of {sizes[0]} and {count(sizes[1], 'seed')}"
    if score.interval is None:
        return f"{how}, no interval ({score.undefined})"
    low, high = (signed(end, score.unit) for end in score.interval)
    return f"{how}, 95% interval of B minus A {low} to {high}"


def tables(comparison: Comparison) -> Iterator[Table]:
    """Yield every table that has rows."""
    yield _runs(comparison)
    if comparison.score is not None:
        yield _score(comparison.score)
    if comparison.documents is not None:
        yield _documents(comparison.documents)
        if comparison.documents.gains or comparison.documents.losses:
            yield _named(comparison.documents)
    yield _figures(comparison)
    for title, changes in (
        ("Findings that changed", comparison.findings),
        ("Guarantees held differently", comparison.guarantees),
        ("Machines", comparison.machine),
    ):
        if changes:
            yield _changes(title, changes)


def signed(value: float, unit: str = "") -> str:
    """Return a difference with its sign; 0 has none."""
    text = figure(value, unit)
    return f"+{text}" if value > 0 else text


def _runs(comparison: Comparison) -> Table:
    both = (comparison.a, comparison.b)
    rows = [
        ("submission", *(side.name for side in both)),
        ("sha256", *(side.submission_digest[:16] for side in both)),
        ("run", *(side.run_id for side in both)),
        ("date", *(side.created_utc for side in both)),
        ("verdict", *(str(side.verdict) for side in both)),
        ("ruleset", *(f"{side.ruleset.name} {side.ruleset.version}" for side in both)),
        ("seeds", *(_seeds(side.seeds) for side in both)),
    ]
    return Table(title="Runs", headings=_BOTH, rows=tuple(rows))


def _seeds(seeds: Sequence[int]) -> str:
    shown = ", ".join(seed_name(seed) for seed in seeds[:_MOST_SEEDS])
    return f"{shown} and {len(seeds) - _MOST_SEEDS} more" if len(seeds) > _MOST_SEEDS else shown


def _score(score: Score) -> Table:
    unit = score.unit
    bits = score.a.bits_per_byte_mean, score.b.bits_per_byte_mean
    rows = [
        _measured(f"mean {unit}", score.a.mean, score.b.mean, score.difference, unit),
        _measured("mean bits/byte", *bits, score.bits_per_byte_difference, "bits/byte"),
    ]
    deviations = [NONE if x is None else figure(x) for x in (score.a.std, score.b.std)]
    rows.append(("deviation", *deviations, ""))
    if score.paired:
        listed = zip(score.a.seeds, score.a.nats, score.b.nats, strict=True)
        for seed, own, theirs in list(listed)[:_MOST_SEEDS]:
            rows.append(_measured(f"seed {seed_name(seed)}", own, theirs, theirs - own, unit))
    return Table(title="Score", headings=_MEASURED, rows=tuple(rows), note=_reading(score))


def _measured(name: str, a: float, b: float, difference: float, unit: str) -> tuple[str, ...]:
    return name, figure(a, unit), figure(b, unit), signed(difference, unit)


def _reading(score: Score) -> str:
    """Return the test in words, and which seeds it left out."""
    parts = []
    if score.t is None or score.df is None:
        parts.append(f"No p-value: {score.undefined}.")
    else:
        name = "Paired t test" if score.paired else "Welch's test"
        parts.append(
            f"{name}: t = {score.t:.4g}, df = {score.df:.3g}; one-sided p = {figure(score.p_b_better)} for "
            f"H0 “B is no better than A”, p = {figure(score.p_a_better)} for H0 “A is no better than B”."
        )
    for label, seeds in (("A", score.left_out_a), ("B", score.left_out_b)):
        if seeds:
            what = "seed" if len(seeds) == 1 else "seeds"
            parts.append(f"Left out of {label}, not in the other: {what} {_seeds(seeds)}.")
    if not score.paired:
        parts.append("Fewer than two seeds in common, so they are not paired.")
    return " ".join(parts)


def _documents(found: Documents) -> Table:
    equal = found.documents - found.better - found.worse
    rows = (
        ("B minus A", f"{signed(found.difference, 'nats/token')} nats/token"),
        ("95% interval", _interval(found.interval)),
        ("better in B", _share(found.better, found.documents)),
        ("worse in B", _share(found.worse, found.documents)),
        *((("the same", _share(equal, found.documents)),) if equal else ()),
    )
    note = (
        f"Token by token over {count(found.tokens, 'token')} of {count(found.documents, 'document')}, "
        "averaged over the seeds above; the interval is over documents, for these very models, and says "
        "nothing of other seeds."
    )
    return Table(title="By document", headings=(("", False), ("", False)), rows=rows, note=note)


def _interval(ends: Interval | None) -> str:
    if ends is None:
        return "none: one document, or the difference is everywhere the same"
    return " to ".join(signed(end, "nats/token") for end in ends)


def _share(number: int, of: int) -> str:
    return f"{number:,} of {count(of, 'document')} ({percent(number / of)})"


def _named(found: Documents) -> Table:
    headings = (
        ("document", True),
        ("first token", True),
        ("tokens", True),
        ("A nats/token", True),
        ("B nats/token", True),
        ("B minus A, nats", True),
    )
    rows = tuple(_document(document) for document in (*found.gains, *reversed(found.losses)))
    return Table(title="Where B gains and loses most", headings=headings, rows=rows)


def _document(one: Document) -> tuple[str, ...]:
    return (
        figure(one.number),
        figure(one.first),
        figure(one.tokens),
        f"{one.nats_a:.4f}",
        f"{one.nats_b:.4f}",
        f"{one.difference_nats:+.2f}",
    )


def _figures(comparison: Comparison) -> Table:
    rows = tuple(map(_figure, comparison.figures))
    note = "" if comparison.documents else f"Not by document: {comparison.documents_note}."
    return Table(title="Size and time", headings=_MEASURED, rows=rows, note=note)


def _figure(each: Figure) -> tuple[str, ...]:
    """Return a row of bytes, or of seconds to the hundredth."""
    gap = None if each.a is None or each.b is None else each.b - each.a
    name = f"{each.name}, {'bytes' if each.unit == 'bytes' else 'mean s'}"
    write = figure if each.unit == "bytes" else seconds
    sign = "+" if gap is not None and gap > 0 else ""
    cells = [NONE if value is None else write(value) for value in (each.a, each.b, gap)]
    return name, *cells[:2], f"{sign}{cells[2]}"


def _changes(title: str, changes: Sequence[Change]) -> Table:
    rows = tuple((change.name, change.a or NONE, change.b or NONE) for change in changes)
    return Table(title=title, headings=_BOTH, rows=rows)
