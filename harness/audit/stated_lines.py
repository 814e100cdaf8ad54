"""Lines of a log that state anything but a score: seed, bytes, the end of training, tokens, ranks, machine.

Each pattern is for a kind of line, not for one trainer: spaces come and go, ":" is "=" elsewhere, and numbers
have commas or not. Quantities are looked for in the line in lower case, names in the line as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Whole numbers are taken whole (possessive): "15.9", "15 912 345", "16 MB" and "16e6" are none of them.
_INT = (
    r"(?P<n>(?:\d{1,3}(?:[,_]\d{3})++|\d{1,15}+)(?![,_.]?\d|e[-+]?\d| \d{3}\b))"
    r"(?!\s?(?:%|[kmgt]i?b?\b|million|billion))"
)
_THOUSANDS = r"\d{1,3}(?:[,_]\d{3})++"
_REAL = rf"(?:{_THOUSANDS}|\d{{1,15}}+)(?:\.\d{{1,15}}+)?(?!\d|[,_.]\d|e[-+]?\d)"
_NUM = rf"(?P<n>{_REAL})"
_IS = r"[\"']?\s{0,20}[:=]\s{0,20}[\"']?"
_UNIT = r"\s{0,4}(?P<unit>ms|s|sec|secs|seconds|m|min|mins|minutes)\b"
_LEAST_BYTES = 1000
"""A smaller size counts megabytes, or files."""
_LEAST_CODE = 100
"""A smaller one is how a program ended."""

WEAK = ", elsewhere"
"""Ends the names of what is only believed where nothing plainer is stated."""


@dataclass(frozen=True, slots=True)
class Stated:
    """One quantity of one line: `what` is the field it belongs to, `words` what the line calls it."""

    what: str
    value: int | float | str
    words: str = ""


def _compiled(*patterns: tuple[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((what, re.compile(pattern)) for what, pattern in patterns)


_SEEDS = _compiled(
    ("seed", rf"^\W*+(?:\w+:)?\s*+seed{_IS}(?P<n>\d{{1,10}})\b(?!\.)"),
    ("seed", r"^\w+ seed=(?P<n>\d{1,10})\b"),
    ("seed", r"^#\s*seed (?P<n>\d{1,10})\b"),
    ("seed", r"^.*\bwall:\d+s seed:(?P<n>\d{1,10})\b"),
    (
        "seed",
        r"^\W*+(?:run|running|start|started|starting)\b.{0,40}\bseed\s*[:=]?\s*(?P<n>\d{1,10})\b",
    ),
    (
        "seed",
        r"^\W*+(?:using |setting |set |with |random |global |rng |training |torch |manual )*"
        rf"seed(?:\s+(?:set |is |to )+|{_IS}|\s+|\()(?P<n>\d{{1,10}})\W*$",
    ),
    (
        f"seed{WEAK}",
        r"(?:^|[\s,({\"'])(?:--)?(?:random_)?seed[\"']?\s?[:= ]\s?(?P<n>\d{1,10})\b(?![.:/])",
    ),
)
_LOADED = _compiled(
    ("val_tokens", rf"(?:^|[\s.\]:,{{\"'])(?:num_|n_)?val(?:idation)?[_ ]tokens{_IS}{_INT}"),
    ("val_tokens", rf"^\W*+(?:\w+\]:)?val(?:_loader)?:.{{0,400}}?\btokens:\s*{_INT}"),
    ("val_tokens", rf"\bval(?:idation)? tokens (?:loaded|total|count){_IS}{_INT}"),
    ("ranks", r"world[_ ]size[\"']?\s*[:=]?\s*(?P<n>\d{1,4})\b(?!\.)"),
    (f"ranks{WEAK}", r"nproc[_-]per[_-]node[= ](?P<n>\d{1,4})\b"),
    (f"ranks{WEAK}", rf"\b(?:num_gpus|n_gpus?|gpu_count|ngpus?){_IS}(?P<n>\d{{1,4}})\b"),
    ("train_shards", r"train_shards\s*[:=]\s*(?P<n>\d{1,9})"),
)
_BYTES = _compiled(
    (
        "total",
        r"(?P<words>(?:total(?:[ _]\w{1,30})?[ _]submission[ _](?:size|bytes)|total submission)[^:=|]{0,60}?)"
        rf"{_IS}{_INT}",
    ),
    (
        "total",
        r"^\W*+(?P<words>(?:final |compressed )?(?:submission size|submission_bytes|total artifact(?: size)?"
        rf"|total compressed size)[^:=|]{{0,40}}?){_IS}{_INT}",
    ),
    ("total", rf"(?:^|[\s,{{\"'|])(?P<words>bytes_total|artifact_bytes_total){_IS}{_INT}"),
    # Alone, "total_bytes" may be of the text that was scored.
    (
        "total",
        r"^(?=.{0,200}\b(?:code|model|artifact|submission|compressed))"
        rf".{{0,200}}?\b(?P<words>total[_ ]bytes)(?:{_IS}|\s{{1,20}}){_INT}",
    ),
    ("total", rf"^(?P<words>.*\bcode:\d+ total)\s*[:=]\s*{_INT}"),
    (
        f"total{WEAK}",
        rf"^\W*+(?P<words>total(?: size)?(?: \([^)]{{0,40}}\))?){_IS}{_INT}\s*(?:b|bytes)\b(?! per)",
    ),
    (
        "artifact",
        rf"^\W*+(?P<words>(?:final )?artifact(?: size)?(?: \([^)]{{0,40}}\))?){_IS}{_INT}\s?(?:bytes|b)\b",
    ),
    ("artifact", rf"(?:^|[\s,{{\"'|])(?P<words>artifact(?:_size)?_bytes){_IS}{_INT}"),
    (
        "code",
        r"(?<!exit )(?<!return )(?<!status )(?<!error )\b"
        rf"(?P<words>code(?: size|_bytes)?(?: \([^)]{{0,40}}\))?){_IS}{_INT}",
    ),
    (
        "model",
        rf"(?P<words>(?:serialized|compressed|quantized) model[^:|]{{0,40}}?)\s*[:=]\s*{_INT}",
    ),
)
_NOT_COUNTED = re.compile(
    r"limit|\bmax|\bcap\b|budget|remaining|headroom|\bleft\b|target|uncompressed|raw\b|\bmargin"
)
"""Words of a size that is allowed, left, or of something before it is compressed."""
UNREAD = "stopping line, unread"
"""An end of training whose time is none that can be read."""
_TIMES = _compiled(
    (
        "stopping line",
        rf"(?:stopping_early|early_stop|stopped)\b.{{0,200}}?train_time\s*[:=]\s*{_NUM}\s*(?P<unit>ms)",
    ),
    (
        f"stopping line{WEAK}",
        r"(?:\bstopping|\bstopped|(?:wall-?clock|time)[ _](?:cap|limit|budget)[ _](?:reached|hit|exceeded))\b"
        rf".{{0,80}}?\b(?:train(?:ing)?[_ ]time|elapsed|after|took)\s?[:=]?\s?{_NUM}{_UNIT}",
    ),
    (
        f"stopping line{WEAK}",
        r"^\W*+train(?:ing)?[ _](?:complete|completed|finished|done|ended)\b.{0,60}?"
        rf"\b(?:train(?:ing)?[_ ]time|elapsed|after|took|in)\s?[:=]?\s?{_NUM}{_UNIT}",
    ),
    (
        UNREAD,
        r"(?:stopping_early|early_stop|stopped)\b.{0,200}?train_time\s*[:=]\s*"
        rf"(?!{_REAL}\s{{0,4}}(?:ms|s|sec|secs|seconds|m|min|mins|minutes)\b)(?P<n>\S{{1,40}})",
    ),
    ("worked line", rf"time is over, worked\s*{_NUM}\s?(?P<unit>s)"),
    (
        "total_eval_time_s",
        rf"(?:total[_ ]eval(?:uation)?[_ ]time|final_eval_time_seconds){_IS}{_NUM}"
        rf"(?:{_UNIT}|(?=\s|$|[,;|)}}]))",
    ),
    ("budget_s", rf"max_wallclock_seconds\s*[:=]\s*{_NUM}"),
)
_NAMES = _compiled(
    (
        "torch",
        r"(?i:\b(?:py)?torch(?: version|_version)?[\"']?(?:[:=]=?\s?| )[\"']?)(?P<n>\d\.\d+[\w.+]*)",
    ),
    ("python", r"(?i:\bpython(?: version)?[:=]? )(?P<n>\d\.\d+\.\d+)"),
    ("cuda", r"\bCUDA Version: (?P<n>\d+\.\d+)"),
    ("gpu", r"\|\s{1,8}\d{1,3}\s{1,8}(?P<n>NVIDIA [\w ]{1,40}?\w)\s{2}"),
    ("gpu", r"(?i:\bon )(?P<n>(?i:\d{1,2}xH\d00))"),
    (
        "gpu",
        r"(?i:^\W*+(?:gpu|device)(?: ?name|_name)?[:=]\s?)(?P<n>(?:NVIDIA|Tesla|AMD|Quadro) [\w -]{1,40})",
    ),
)

_GATES: tuple[tuple[re.Pattern[str], tuple[tuple[str, re.Pattern[str]], ...]], ...] = (
    (re.compile(r"seed"), _SEEDS),
    (re.compile(r"tokens|world|nproc|gpu|train_shards"), _LOADED),
    (re.compile(r"total|submission|artifact|code|model"), _BYTES),
    (
        re.compile(
            r"stopp|early_stop|limit|cap|budget|train(?:ing)?[ _][cfde]|worked|eval|wallclock"
        ),
        _TIMES,
    ),
    (re.compile(r"torch|python|cuda|nvidia|gpu|device|xh\d00"), _NAMES),
)
"""Which patterns a line can match at all, by its words."""
HINT = re.compile(
    r"seed|total|eval|submission|artifact|code|model|stopp|early_stop|worked|tokens|world|nproc|torch|python|cuda"
    r"|nvidia|gpu|device|train_shards|wallclock|limit|budget|train(?:ing)?[ _][cfde]|xh\d00"
)
"""A line without any of these, in lower case, states nothing."""
_FACTOR_MS = {"ms": 1.0, "m": 6e4, "min": 6e4, "mins": 6e4, "minutes": 6e4}

STEP = re.compile(
    r"^\W*+(?:\w+\]:\W*+)?(?:step\s*[:=]?\s*|s:)?"
    rf"(?P<step>{_THOUSANDS}|\d{{1,12}})\s*/\s*(?P<steps>{_THOUSANDS}|\d{{1,12}})\b(?!,\d)"
)
_STEP_TIME = re.compile(
    r"(?P<key>train_time|\btt|\belapsed)\s?[:=]\s{0,20}"
    rf"(?:{_NUM}\s?(?P<unit>ms|s|sec|secs|seconds|m|min|mins|minutes)\b|\S)"
)
_STEP_AVERAGE = re.compile(rf"(?:step_avg|\bsa)\s?[:=]\s?{_NUM}\s?ms")


def stated(line: str, lower: str) -> Iterator[Stated]:
    """Yield what a line, given as written and in lower case, states; one of a kind."""
    seen = set()
    for gate, patterns in _GATES:
        if not gate.search(lower):
            continue
        for what, pattern in patterns:
            if what in seen:
                continue
            match = pattern.search(line if patterns is _NAMES else lower)
            item = None if match is None else _stated(what, match, line)
            if item is not None:
                seen.add(what)
                yield item


def _stated(what: str, match: re.Match[str], line: str) -> Stated | None:
    text = match["n"]
    groups = match.re.groupindex
    if "words" in groups:
        # Positions are those of the line as written, unless a letter is longer in lower case.
        same = len(match.string) == len(line)
        start, end = match.span("words")
        words = (line[start:end] if same else match["words"]).strip()[-60:]
        value = _whole(text)
        if _NOT_COUNTED.search(words.lower()) and what != "code":
            return None
        least = _LEAST_CODE if what == "code" else _LEAST_BYTES
        return Stated(what, value, words) if value >= least else None
    if "unit" in groups:
        if (
            what.startswith("stopping")
            and match["unit"] != "ms"
            and not _is_fine(text, match["unit"])
        ):
            return None
        ms = _milliseconds(text, match["unit"] or "s")
        if ms is None:
            return None
        return Stated(what, ms / 1e3 if what.endswith("_s") else ms)
    if what == "budget_s":
        return Stated(what, _real(text))
    if what == UNREAD:
        return Stated(what, text)
    if match.re in _NAME_PATTERNS:
        return Stated(what, text.strip()[:60])
    return Stated(what, _whole(text))


def _is_fine(seconds: str, unit: str) -> bool:
    """Say whether a time can be held against a limit: whole seconds and minutes are rounded too far."""
    return _FACTOR_MS.get(unit, 1e3) <= 1e3 and "." in seconds


_NAME_PATTERNS = frozenset(pattern for _, pattern in _NAMES)


@dataclass(frozen=True, slots=True)
class Step:
    """The counter of a line of training: step, its end, time since the start and mean time of a step.

    `exact` is true where the time is in milliseconds; seconds and minutes are too coarse to judge by.
    `train_ms` is None where a time is stated that cannot be read.
    """

    step: int
    steps: int
    train_ms: float | None
    average_ms: float | None
    exact: bool


def training_step(lower: str) -> Step | None:
    """Return the counter of a line of training, given in lower case, or None."""
    match = STEP.match(lower)
    times = list(_STEP_TIME.finditer(lower)) if match else []
    # "elapsed: off" is no time that cannot be read.
    times.sort(key=lambda one: not one["n"])
    time = next((one for one in times if one["n"] or one["key"] == "train_time"), None)
    if match is None or time is None:
        return None
    average = _STEP_AVERAGE.search(lower)
    train_ms = _milliseconds(time["n"], time["unit"]) if time["n"] else None
    return Step(
        _whole(match["step"]),
        _whole(match["steps"]),
        train_ms,
        _real(average["n"]) if average else None,
        train_ms is not None and time["unit"] == "ms" and time["key"] != "elapsed",
    )


def _milliseconds(text: str, unit: str) -> float | None:
    """Return a time; None for "599,500 s", which may be meant to have a decimal comma."""
    factor = _FACTOR_MS.get(unit, 1e3)
    if factor > 1 and re.fullmatch(r"\d{2,3}[,_]\d{3}", text):
        return None
    return _real(text) * factor


def _real(text: str) -> float:
    return float(text.replace(",", "").replace("_", ""))


def _whole(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))
