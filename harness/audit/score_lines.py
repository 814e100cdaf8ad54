"""One line of a log that states a score: which one, in nats per token and bits per byte, how long it took.

Trainers name their scores as they like: before quantising, after, sliding, adapted, with an n-gram part, each
rounded and again exact. What they share is a key for bits per byte, often one for the loss beside it, and
words in front that say which score it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from checks.published import Score, place
from harness.audit.text import decimals

NUMBER = r"[-+]?(?:\d++\.?\d*+|\.\d++)(?:e[-+]?\d{1,3})?(?![.,]?\d)"
_BITS = r"bits?[ _/-](?:per[ _-])?byte"
MENTION = re.compile(rf"bpb|{_BITS}")
"""A line without this, in lower case, states no score."""

# Words are taken whole (possessive), so that no line of any length is gone over twice.
_KEY = rf"(?<![\w\-/.])(?P<key>{_BITS}|(?:val|validation) (?:loss|bpb)|eval time|[\w\-/.]++)"
_THOUSANDS = r"\d{1,3}(?:,\d{3})++(?:\.\d++)?(?=\s?ms\b)"
"""Of milliseconds alone; in seconds it may be a decimal comma."""
_PAIR = re.compile(
    rf"{_KEY}(?P<qualifier>\s?\([^()]{{0,30}}\))?[\"'`*]{{0,3}}\s{{0,20}}"
    rf"(?:(?P<sep>[:=]{{1,2}}|\|)\s{{0,20}}[\"'`*]{{0,3}}(?:(?:tensor|np\.float\d\d|float)\()?)?"
    rf"(?P<value>{_THOUSANDS}|{NUMBER})(?:\s?(?P<unit>ms|s|sec|seconds|%)(?!\s?[:=])|nats|bpb)?(?![\w%])"
)
_BPB = re.compile(rf"bpb(?:_\w+)?$|(?:^|[_/-]){_BITS}(?:_\w+)?$")
_LOSS = re.compile(r"(?:val|validation)[ _/]loss$|^vl$")
_TIME = re.compile(r"(?:eval[ _]time|^elapsed|^t|^time|eval_time_ms)$")
_UNIT_AFTER = re.compile(
    rf"[:=>]\s{{0,20}}\*{{0,2}}(?P<value>\d\.\d{{3,}})\s?(?:val[_ ])?(?P<key>bpb|{_BITS})\b"
)
""" "final (sliding): 1.0812 BPB"; in running text, without a colon, such a number may be anything's."""
_OTHER_UNIT = re.compile(r"\d\s?(?:bpb|bits)")
_CHANGED = re.compile(r"\s*(?:->|→|=>|vs\b)")
_QUOTED = re.compile(
    r"\b(?:target|goal|sota|expected|claim(?:ed)?|leaderboard|threshold|reference|to beat)\b"
)
"""Scores of somebody else, or wished for."""
_COUNTER = re.compile(
    r"\d\s?/\s?\d|\b(?:step|chunk|batch|epoch|iter|iteration|running|progress)\b[\s:=\[#\"']{0,8}\d"
)
_PROGRESS = re.compile(
    r"(?:step|tttg|ttp\w?|ttt_chunk|ttt_progress|tc\[|chunk|epoch|batch|iter|val_progress|running|warmup)"
)
_TEXT = re.compile(r"\bbytes\s?[:=]\s?(?P<value>\d{4,15})\b")
_EXACT = re.compile(r"_exact\b|_x$")
_PLAIN = frozenset({"bpb", "val_bpb", "val bpb", "val/bpb"})
_UNITS = frozenset({"ms", "s", "sec", "seconds"})
_PROSE_CHARACTERS = 160
_MOST_BPB = 100.0


def scores_of(line: str, file: str, number: int) -> list[Score]:
    """Return the scores that a line states, given in lower case.

    None for progress within an evaluation, for what a comment says, and for scores that are only quoted.
    """
    if not MENTION.search(line) or line.lstrip().startswith("#"):
        return []  # a line that somebody wrote as a comment is no statement of a trainer
    pairs = list(_PAIR.finditer(line))
    scores = _own(line, [p for p in pairs if _BPB.search(p["key"]) and _is_stated(line, p)])
    losses = [pair for pair in pairs if _LOSS.search(pair["key"]) and _is_stated(line, pair)]
    if not scores:
        return _unit_after(line, file, number)
    before = _before(line, scores, losses)
    validation = _COUNTER.search(before) is not None or _PROGRESS.match(before) is not None
    if validation and (len(scores) > 1 or not losses):
        return []
    took, text = _took(pairs), _TEXT.search(line)
    found = []
    for score in scores:
        bpb = _number(score["value"])
        if bpb is None or not 0 < bpb < _MOST_BPB:
            continue
        key = score["key"].strip("-_") + (score["qualifier"] or "")
        own = _loss_of(score, scores, losses)
        name = _name(before, key, alone=len(scores) == 1 and own is not None)
        found.append(
            Score(
                name=_EXACT.sub("", name).strip(),
                place=place(file, number),
                val_loss=_number(own["value"]) if own else None,
                val_bpb=bpb,
                eval_ms=took,
                text_bytes=int(text["value"]) if text else None,
                loss_digits=_digits(own["value"]) if own else 0,
                bpb_digits=_digits(score["value"]),
                validation=validation,
            )
        )
    return found


def _own(line: str, scores: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """Return the scores without those that are only quoted, by their keys or the words before them."""
    starts = [0, *(score.end() for score in scores)]
    return [
        score
        for start, score in zip(starts, scores, strict=False)
        if not _QUOTED.search(f"{line[start : score.start()]} {score['key'].replace('_', ' ')}")
    ]


def _is_stated(line: str, pair: re.Match[str]) -> bool:
    """Say whether a pair gives its key this value, as "bpb 1.0812" does, not "bpb 3" or "bpb: 1.2 -> 1.1"."""
    if pair["unit"] == "%" or _CHANGED.match(line, pair.end()):
        return False
    return pair["sep"] in (":", "=", "==", "::") or _digits(pair["value"]) >= 2


def _unit_after(line: str, file: str, number: int) -> list[Score]:
    """Return the score of a line with its unit behind: "sliding: 1.0812 bpb"."""
    found = list(_UNIT_AFTER.finditer(line)) if len(line) <= _PROSE_CHARACTERS else []
    if len(found) != 1 or _CHANGED.match(line, found[0].end()):
        return []
    before = line[: found[0].start()].strip().strip("|,\"'*# ")
    if (
        _COUNTER.search(before)
        or _PROGRESS.match(before)
        or _OTHER_UNIT.search(before)
        or _QUOTED.search(before)
    ):
        return []
    text = found[0]["value"]
    name = _name(before, "bpb", alone=True)
    return [Score(name, place(file, number), None, float(text), None, bpb_digits=_digits(text))]


def _before(line: str, scores: Sequence[re.Match[str]], losses: Sequence[re.Match[str]]) -> str:
    """Return the words in front of a line's first score or loss, which say what was scored."""
    first = min(pair.start() for pair in (*scores[:1], *losses[:1]))
    return line[:first].strip().strip("|,\"'*#{ ")


def _name(before: str, key: str, *, alone: bool) -> str:
    """Return which score it is: the words in front, and the key where it says more than "val_bpb"."""
    words = re.sub(r"(?<=[:=])\s*[\d.,+-]++\S*", "#", before)
    words = words.rstrip(":=,- ").replace('"', "")
    if not words:
        return key
    return words if alone and key in _PLAIN else f"{words} {key}"


def _loss_of(
    score: re.Match[str], scores: Sequence[re.Match[str]], losses: Sequence[re.Match[str]]
) -> re.Match[str] | None:
    """Return the loss that stands between the score before this one and this one.

    Where each score is followed by its loss instead, and no loss stands first, it is the one behind.
    """
    behind = len(scores) == len(losses) and all(
        score.start() < loss.start() for score, loss in zip(scores, losses, strict=True)
    )
    if behind:
        at = scores.index(score)
        following = scores[at + 1].start() if at + 1 < len(scores) else math.inf
        return losses[at] if losses[at].start() < following else None
    if len(scores) == 1:
        return next((loss for loss in losses if loss.start() < score.start()), None)
    start = max((other.end() for other in scores if other.end() <= score.start()), default=0)
    own = [loss for loss in losses if start <= loss.start() < score.start()]
    return own[-1] if own else None


def _took(pairs: Sequence[re.Match[str]]) -> float | None:
    """Return the milliseconds that a line gives, those of an evaluation before others."""
    times = [pair for pair in pairs if _TIME.search(pair["key"]) and pair["unit"] in _UNITS]
    if not times:
        return None
    match = next((pair for pair in times if "eval" in pair["key"]), times[-1])
    value = _number(match["value"])
    if value is None:
        return None
    return value if match["unit"] == "ms" else round(value * 1000, 6)


def _number(text: str) -> float | None:
    value = float(text.replace(",", ""))
    return value if math.isfinite(value) else None


def _digits(text: str) -> int:
    """Return the decimals of a number as written, in lower case."""
    return decimals(text)
