"""What every renderer of a board says: sentences and cells, as words that each makes harmless itself."""

from __future__ import annotations

from collections.abc import Iterator

from harness.board.model import Board, Entry, Key
from harness.report.figures import count, figure, quantity, versus

NONE = "–"
TESTS = {"welch": "Welch's test", "one-sample": "one-sample t test"}
UNSIGNED = "No key was given: each report is what its evidence gives; nobody vouches for where it came from."
HEADINGS = (
    ("rank", False),
    ("submission", False),
    ("authors", False),
    ("nats/token", True),
    ("bits/byte", True),
    ("bytes", True),
    ("seeds", True),
    ("p", True),
    ("date", False),
    ("ruleset", False),
    ("signed by", False),
)
LEFT_OUT = (("run", False), ("submission", False), ("reason", False))


def title(board: Board) -> str:
    """Return what the page is called."""
    return f"Leaderboard: {board.ruleset.title or board.ruleset.name}"


def summary(board: Board) -> str:
    """Return what there is, in a line."""
    records = sum(entry.record for entry in board.entries)
    ranked = "1 entry" if len(board.entries) == 1 else f"{len(board.entries):,} entries"
    return f"{ranked}, {count(records, 'record')}, {count(len(board.left_out), 'run')} not ranked"


def sentences(board: Board) -> Iterator[str]:
    """Yield how the board is ordered, what a record is, and who vouches."""
    rate = ""
    if board.bytes_per_token is not None:
        rate = f" of a tokenizer of {board.bytes_per_token:.6g} bytes a token"
    yield (
        f"Ranked by mean nats per token{rate}, lowest first; equal scores by date, earlier first. The ± is "
        "half of the mean's 95% interval over seeds."
    )
    asked = board.question
    by = asked.margin_nats if asked.margin_in_null else 0.0
    null = f"better by no more than {by:g}" if by else "no better at all"
    start = ""
    if board.bar is not None:
        mean = quantity(board.bar.nats_per_token_mean, "nats/token")
        seeds = count(board.bar.seeds, "seed")
        start = f"; the first had to beat {board.bar.name}, {mean} over {seeds}"
    yield (
        f"A record beats, in order of date, the record before it: {TESTS[asked.test]}, one-sided, "
        f"p < {asked.alpha:g} for H0 “{null}”, {count(asked.min_seeds, 'seed')} or more{start}. "
        "p is against the record that stood when an entry came."
    )
    if board.keys:
        named = ", ".join(f"{key.file} (SHA-256 {key.keyid})" for key in board.keys)
        yield f"Every report is what its evidence gives, and is signed by a key that was given: {named}."
    else:
        yield UNSIGNED
    yield (
        f"Ruleset {board.ruleset.name}, version {board.ruleset.version}, SHA-256 {board.ruleset.sha256}; "
        f"validation text SHA-256 {board.text_sha256 or 'none'}."
    )


def cells(entry: Entry, alpha: float) -> tuple[str, ...]:
    """Return a row under HEADINGS."""
    return (
        figure(entry.rank),
        entry.name,
        ", ".join(entry.authors) or NONE,
        score(entry),
        NONE if entry.bits_per_byte_mean is None else figure(entry.bits_per_byte_mean, "bits/byte"),
        NONE if entry.artifact_bytes is None else figure(entry.artifact_bytes),
        figure(len(entry.seeds)),
        probability(entry, alpha),
        entry.created_utc[:10],
        f"{entry.ruleset.name} {entry.ruleset.version}",
        signers(entry.signed_by),
    )


def score(entry: Entry) -> str:
    """Return the mean with half of its interval."""
    mean = figure(entry.nats_per_token_mean, "nats/token")
    if entry.interval is None:
        return mean
    half = (entry.interval[1] - entry.interval[0]) / 2
    return f"{mean} ± {half:.6f}" if half >= 1e-6 else f"{mean} ± {half:.2g}"


def probability(entry: Entry, alpha: float) -> str:
    """Return p with the digits it takes to stay on its side of alpha."""
    return NONE if entry.p is None else versus(entry.p, alpha).split(" ")[0]


def standing(entry: Entry) -> str:
    """Return whether an entry was a record, and against what; "" where there is nothing to say."""
    against = "" if entry.against is None else f" against {entry.against}"
    if entry.record:
        return f"record{against or ', the first'}"
    why = f" ({entry.why})" if entry.why else ""
    return f"no record{against}{why}"


def remarks(entry: Entry) -> str:
    """Return an entry's notes in a line."""
    return "; ".join(entry.notes)


def signers(keys: tuple[Key, ...]) -> str:
    """Return the files of keys with the head of each digest."""
    return ", ".join(f"{key.file} ({key.keyid[:12]})" for key in keys) or NONE
