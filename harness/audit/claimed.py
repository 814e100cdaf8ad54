"""What a submission.json claims: score, loss, bytes, seeds, times, steps, under whatever keys it uses.

Over 55 files 139 different keys were counted at the top level alone. A key is read by its words: those that
say what it is ("bpb"), those that say it is the headline ("val", "mean"), and those that say it is something
else ("delta", "baseline", "std", "pre"). What several keys claim differently is ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from checks.published import Claims, Found, SeedClaim, Value, slack
from harness.audit.claimed_keys import Named, is_number, named, spelled, with_numbers
from harness.audit.claimed_seeds import PER_SEED, Table, claimed_seeds, seed_claim, seed_table
from harness.audit.json_lines import Entry, JsonFile

_BPB_WORDS = frozenset(
    "val validation bpb mean avg average final submission score seed seeds 3seed exact headline best sub"
    " overall value".split()
)
_LOSS_WORDS = frozenset(
    "val validation loss mean avg average final nats 3seed seed seeds exact overall value".split()
)
_WORDS = {"bpb": _BPB_WORDS, "loss": _LOSS_WORDS}
_METHODS = frozenset(
    "ttt post legal sliding window stride64 slot ngram quantized quant roundtrip int5 int6 int8 zlib"
    " artifact".split()
)
"""Words that say how a score was come by: they count where no plainer key has one."""
_RANGE = {"bpb": (0.05, 20.0), "loss": (0.02, 20.0)}
"""What a score can be; a mistaken key is most often far outside."""

_SAME = _BPB_WORDS - {"best", "sub"} | {"loss", "nats", "validation"}
"""Words that leave a score the one that counts: keys of these alone mean the same."""
_SAME_CODE = frozenset("bytes code size".split())
_SAME_STD = frozenset("val validation bpb mean 3seed seed seeds std stdev dev deviation".split())

_EVAL_TIME = re.compile(
    r"^(?:total_)?eval(?:uation)?(?:_\w+)??_(?:time_)?(?:s|sec|secs|seconds)(?:_(?:mean|max|min|avg))?$"
    r"|^(?:total_)?eval(?:uation)?_time_(?:ms|milliseconds)(?:_(?:mean|max|min|avg))?$"
)
_NOT_TAKEN = frozenset("timeout budget limit cap allowed allowance deadline all sum".split())
"""Words of a time that evaluation may take, or that all seeds take together."""
_BYTES = (
    r"bytes_total",
    r"total_bytes",
    r"artifact_bytes",
    r"(?:total_)?(?:artifact|submission)_size_bytes",
    r"(?:total_)?submission_bytes",
    r"(?:total_)?artifact_size",
    r"total_artifact_bytes",
)
"""Keys for one and the same thing, most usual first: where two of them differ, the size is ambiguous."""
_BYTES_OVER_SEEDS = (
    r"artifact_bytes_max",
    r"bytes_total_max",
    r"artifact_bytes_mean",
    r"bytes_total_mean",
    r"max_artifact_bytes",
    r"total_submission_bytes_max",
    r"total_submission_bytes_mean",
    r"compressed_size_bytes",
)
_LEAST_BYTES = 1000
"""A smaller size counts megabytes."""
_CODE = re.compile(r"^(?:bytes_code|code_bytes|code_size(?:_bytes)?)$")
_STD = re.compile(
    r"^(?:val_)?bpb_(?:3seed_)?(?:std(?:_dev)?|stdev)$|^val_bpb_\w*std\w*$|^std(?:_dev)?_(?:val_)?bpb$"
    r"|^std(?:_val_bpb)?$|^std_dev$"
)
_DELTA = re.compile(r"^(?:delta|improvement|gain)\w*$")
_AGAINST = re.compile(
    r"^(?:sota_pr|comparison_baseline_pr|base_pr|baseline_pr|prior_pr|previous_pr|parent_pr)$"
)
_STEPS = re.compile(
    r"^(?:train_)?steps?(?:_(?:mean|completed|stop))?$|^step_stop$|^steps_completed$"
)
_STEP_MS = re.compile(r"^(?:step_avg_ms(?:_mean)?|ms_per_step|step_time_ms|step_avg)$")
_TRAIN_S = re.compile(
    r"^(?:train(?:ing)?_(?:time|wallclock)_(?:s|sec|secs|seconds|ms)(?:_mean)?|wallclock_seconds|train_s)$"
)
"""Always with a unit: "train_time": 10 may be minutes."""


def read_claims(file: str, parsed: JsonFile) -> Claims:
    """Return what a submission.json claims; empty fields where it says nothing that can be read."""
    reader = _Reader(file, parsed.entries)
    bpb, bpb_digits = reader.score("bpb")
    loss, loss_digits = reader.score("loss")
    std, std_digits = reader.alike(_STD, _SAME_STD)
    seeds, seeds_line = claimed_seeds(reader.entries, reader.table)
    return Claims(
        file=file,
        strict_json=parsed.strict,
        error=parsed.error,
        mended=parsed.mended,
        val_bpb=bpb,
        bpb_digits=bpb_digits,
        val_loss=loss,
        loss_digits=loss_digits,
        bytes_total=reader.bytes_total(),
        bytes_code=_whole(reader.alike(_CODE, _SAME_CODE)[0]),
        std_bpb=std,
        std_digits=std_digits,
        seeds=seeds,
        seeds_line=seeds_line,
        per_seed=reader.per_seed(),
        eval_s=reader.eval_times(),
        deltas=reader.all_numbers(_DELTA, deep=True),
        against=_whole(reader.number(_AGAINST)[0]),
        steps=_whole(reader.number(_STEPS, deep=True)[0]),
        step_ms=reader.number(_STEP_MS, deep=True)[0],
        train_s=reader.seconds(_TRAIN_S),
        date=reader.words("date", "submission_date", "created", "timestamp"),
        track=reader.track(),
        hardware=reader.words("hardware", "gpu", "gpu_type"),
        name=reader.words("name", "submission_name", "title", "run_name"),
        author=reader.words("author", "github_id", "github_user"),
        text=reader.words("blurb", "note", "notes", "description", "technique_summary"),
    )


class _Reader:
    """The entries of one file, and what can be asked of them."""

    def __init__(self, file: str, entries: tuple[Entry, ...]) -> None:
        self.file = file
        # Of a key that is given twice the last one counts; what the others say can only make it ambiguous.
        standing = tuple(entry for entry in entries if not entry.replaced)
        self.as_written = named(standing)
        self.entries = tuple(map(with_numbers, standing))
        replaced = (with_numbers(entry) for entry in entries if entry.replaced)
        self.top = named((*self.entries, *replaced))
        self.table: Table = seed_table(self.entries)

    def value(self, entry: Entry) -> Value[Any]:
        return Value(entry.value, self.file, entry.line, ".".join(entry.path))

    def score(self, what: str) -> tuple[Found[float], int]:
        """Return the headline score, by the key with the fewest words beside the plain one."""
        low, high = _RANGE[what]
        ranked = []
        for item in self.top:
            words = item.key.split("_")
            if item.key == "score" and what == "bpb":
                words = ["bpb", "final", "score"]
            if what not in words or not set(words) <= _WORDS[what] | _METHODS:
                continue
            if is_number(item.entry.value) and low <= item.entry.value <= high:
                plain = 0 if item.key in (f"val_{what}", what) else 1 + bool(_METHODS & set(words))
                same = set(words) <= _SAME
                ranked.append(((plain, item.nested, len(words)), same, item.entry))
        ranked.sort(key=lambda one: (one[-1].replaced, one[0]))
        if not ranked:
            return Found(), 0
        (plainest, *_), first_same, _ = ranked[0]
        return self._chosen(
            [entry for rank, same, entry in ranked if rank[0] == plainest or (same and first_same)]
        )

    def _chosen(self, entries: list[Entry]) -> tuple[Found[Any], int]:
        """Return the first of some values, and before it those that differ by more than rounding."""
        if not entries or entries[0].replaced:
            return Found(), 0
        first, *others = entries
        different = [
            other
            for other in reversed(others)
            if abs(other.value - first.value) > slack(min(other.digits, first.digits))
        ]
        # The last of a Found counts.
        return Found(tuple(self.value(entry) for entry in (*different, first))), first.digits

    def _keyed(self, key: re.Pattern[str], *, deep: bool) -> Iterator[Entry]:
        """Yield the numbers under keys like this; `deep` also one object deep, without single seeds'."""
        for item in self._shallow() if deep else self.top:
            if key.match(item.key) and is_number(item.entry.value) and not item.entry.replaced:
                yield item.entry

    def _shallow(self) -> Iterator[Named]:
        for entry in self.entries:
            if len(entry.path) <= 2 and not any(
                PER_SEED.search(spelled(p)) for p in entry.path[:-1]
            ):
                yield Named(spelled(entry.path[-1]), entry, len(entry.path) - 1)

    def number(self, key: re.Pattern[str], *, deep: bool = False) -> tuple[Found[float], int]:
        return self._chosen(list(self._keyed(key, deep=deep))[:1])

    def alike(self, key: re.Pattern[str], words: frozenset[str]) -> tuple[Found[float], int]:
        """Return the first number under keys like this; those of nothing but `words` mean the same."""
        found = [i for i in self.top if key.match(i.key) and is_number(i.entry.value)]
        found.sort(key=lambda item: not set(item.key.split("_")) <= words)
        return self._chosen(
            [i.entry for i in found if i is found[0] or set(i.key.split("_")) <= words]
        )

    def eval_times(self) -> tuple[Value[float], ...]:
        """Return the claimed times of evaluation in seconds."""
        found = []
        for item in self.top:
            words = item.key.split("_")
            number = is_number(item.entry.value) and not item.entry.replaced
            if number and _EVAL_TIME.match(item.key) and not _NOT_TAKEN.intersection(words):
                factor = 1e-3 if {"ms", "milliseconds"} & set(words) else 1.0
                value = self.value(item.entry)
                found.append(value if factor == 1 else replace(value, value=value.value * factor))
        return tuple(found)

    def all_numbers(self, key: re.Pattern[str], *, deep: bool = False) -> tuple[Value[float], ...]:
        return tuple(self.value(entry) for entry in self._keyed(key, deep=deep))

    def seconds(self, key: re.Pattern[str]) -> Found[float]:
        found = []
        for entry in self._keyed(key, deep=True):
            factor = 1e-3 if "_ms" in spelled(entry.path[-1]) else 1.0
            found.append(replace(self.value(entry), value=entry.value * factor))
        return Found(tuple(found))

    def words(self, *keys: str) -> Found[str]:
        for key in keys:
            for item in self.as_written:
                text = item.entry.value
                if item.key == key and isinstance(text, str) and text.strip():
                    return Found((Value(text, self.file, item.entry.line, key),))
        return Found()

    def track(self) -> Found[str]:
        """Return the claimed track; "non_record": true and the like say it too."""
        for item in self.as_written:
            value, key = item.entry.value, item.key
            if re.match(r"non_?record", key) and value not in (None, False, "", "false"):
                return Found((Value("non-record", self.file, item.entry.line, key),))
        return self.words("track", "record_type", "submission_type")

    def bytes_total(self) -> Found[int]:
        """Return the claimed size; of keys that mean the same, the most usual counts and comes last."""
        for patterns in (_BYTES, _BYTES_OVER_SEEDS):
            found = [
                item.entry
                for pattern in patterns
                for item in self.top
                if re.fullmatch(pattern, item.key)
                and is_number(item.entry.value)
                and item.entry.value >= _LEAST_BYTES
            ]
            if found:
                return _whole(self._chosen(found if patterns is _BYTES else found[:1])[0])
        return Found()

    def per_seed(self) -> tuple[SeedClaim, ...]:
        """Return what is claimed of each seed, in the file's order."""
        claims = tuple(seed_claim(self.file, seed, keys) for seed, keys in self.table.items())
        if claims and not any(claim.val_bpb for claim in claims):
            claims = self._by_headline(claims)
        return claims

    def _by_headline(self, claims: tuple[SeedClaim, ...]) -> tuple[SeedClaim, ...]:
        """Return the claims with the one of their scores, whatever its key, whose mean is the headline."""
        headline, digits = self.score("bpb")
        if headline.value is None:
            return claims
        common = set.intersection(*(set(fields) for fields in self.table.values()))
        for key in sorted(key for key in common if key.endswith("bpb")):
            scores = [fields[key] for fields in self.table.values()]
            mean = sum(entry.value for entry in scores) / len(scores)
            if abs(mean - headline.value) <= slack(digits):
                return tuple(
                    replace(claim, val_bpb=self.value(entry), bpb_digits=entry.digits)
                    for claim, entry in zip(claims, scores, strict=True)
                )
        return claims


def _whole(found: Found[Any]) -> Found[int]:
    """Return the same with whole numbers, without what is none."""
    return Found(
        tuple(
            Value(int(v.value), v.file, v.line, v.words)
            for v in found.values
            if float(v.value).is_integer() and abs(v.value) < 1 << 53
        )
    )
