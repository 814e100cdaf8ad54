"""What a submission.json claims of single seeds: tables by seed, lists of runs, keys with a seed in them.

A number is taken for a seed only where the file says so: "seed_42", "seeds": {"42": ...}, {"seed": 42, ...},
or a list beside a list of seeds that is as long. What is claimed of reruns or baselines is of no seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from checks.published import SeedClaim, Value
from harness.audit.claimed_keys import is_number, spelled
from harness.audit.json_lines import Decimal, Entry

MAX_SEEDS = 200

PER_SEED = re.compile(r"seed|per_run|^runs?$")
SEEDS_KEY = re.compile(r"^(?:seeds?|seeds_run|seeds_used|seed_list|(?:random_)?seeds(?:_used)?)$")
_SEED = re.compile(r"^(?:seed[_ ]?|s)?(\d{1,10})$")
_SEED_IN_KEY = re.compile(
    r"^(?:seed_?(?P<a>\d{1,10})_(?P<rest>\w+)|(?P<front>\w+?)_seed_?(?P<b>\d{1,10}))$"
)
_A_RUN = re.compile(r"^(?:#\d+|(?:seed|run|trial|s)_?\d+)$")
_OTHERS = re.compile(r"rerun|disclosure|baseline|all_")
_LIST_WORDS = {
    "val_bpb": frozenset("val validation bpb bpbs score scores".split()),
    "val_loss": frozenset("val validation loss losses".split()),
    "artifact_bytes": frozenset("artifact bytes total size sizes".split()),
}
"""Words of a list's key, beside those that say that it is one for each seed."""
_EACH = frozenset("seed seeds per by all each list values individual final exact results".split())

_FIELDS: dict[str, tuple[re.Pattern[str], ...]] = {
    name: tuple(re.compile(pattern) for pattern in patterns)
    for name, patterns in {
        "val_bpb": (
            r"val_bpb",
            r"val_bpb_(?:exact|per_seed|seeds)|per_seed_val_bpb|val_bpb_by_seed",
            r"final_bpb|bpb|final_val_bpb|validation_bpb",
            r"(?:ttt|post_ttt)_val_bpb",
        ),
        "val_loss": (
            r"val_loss",
            r"val_loss_(?:exact|per_seed)",
            r"final_loss|final_val_loss|validation_loss",
            r"(?:ttt|post_ttt)_val_loss",
        ),
        "artifact_bytes": (
            r"artifact_bytes\w*|bytes_total\w*|bytes|total_bytes|per_seed_total_artifact_bytes|\w{0,60}size_bytes",
        ),
        "steps": (r"steps|train_steps|stop_step|step_stop",),
        "train_s": (
            r"train_time_s|train_s|train_time_ms|train_wallclock_ms|train_time_seconds|train_ms",
        ),
    }.items()
}
"""Keys of one seed, those that say it most plainly first."""

Table = dict[int, dict[str, Entry]]


def claimed_seeds(entries: tuple[Entry, ...], table: Table) -> tuple[tuple[int, ...], int]:
    """Return the claimed seeds in the file's order, and their line: a list, single ones, or the table's."""
    singles: dict[int, dict[int, int]] = {1: {}, 2: {}}
    for entry in entries:
        if len(entry.path) > 2 or not SEEDS_KEY.match(key := spelled(entry.path[-1])):
            continue
        numbers = _seed_list(entry.value, alone=key == "seed")
        if numbers and key == "seed" and is_number(entry.value):
            singles[len(entry.path)].setdefault(numbers[0], entry.line)
        elif numbers:
            return tuple(dict.fromkeys(numbers)), entry.line
    for found in singles.values():
        if found:
            return tuple(found), min(found.values())
    lines = [entry.line for fields in table.values() for entry in fields.values() if entry.line]
    return tuple(table), min(lines, default=0)


def _seed_list(value: Any, *, alone: bool) -> list[int]:
    """Return the seeds that a value lists; none of "seeds": 3, which is a count."""
    if isinstance(value, str):
        parts = [part for part in re.split(r"[,;/\s]+|\band\b", value[:400]) if part]
        value = [int(part) for part in parts if re.fullmatch(r"\d{1,10}", part)]
        if len(value) != len(parts):
            return []
    elif alone and is_number(value):
        value = [value]
    if not isinstance(value, list) or not all(is_number(item) for item in value):
        return []
    whole = [
        int(item) for item in value[:MAX_SEEDS] if float(item).is_integer() and 0 <= item < 1 << 53
    ]
    return whole if len(whole) == min(len(value), MAX_SEEDS) else []


def seed_table(entries: tuple[Entry, ...]) -> Table:
    """Return what is claimed of each seed, by its key."""
    own = {
        entry.path[:-1]: int(entry.value)
        for entry in entries
        if len(entry.path) > 1 and spelled(entry.path[-1]) == "seed" and _is_seed(entry.value)
    }
    listed = {
        entry.path[:-1]: seeds
        for entry in entries
        if SEEDS_KEY.match(spelled(entry.path[-1]))
        and (seeds := _seed_list(entry.value, alone=False))
    }
    declared = {seed for seeds in listed.values() for seed in seeds}
    table: Table = {}

    def keep(seed: int, name: str, entry: Entry) -> None:
        if seed in table or len(table) < MAX_SEEDS:
            table.setdefault(seed, {}).setdefault(name, entry)

    for entry in entries:
        if isinstance(entry.value, list):
            for listed_seed, name, item in _aligned(entry, listed.get(entry.path[:-1], [])):
                keep(listed_seed, name, item)
        elif is_number(entry.value):
            seed, name = _of_seed(entry, own, declared)
            if seed is not None and name:
                keep(seed, name, entry)
    return table


def _is_seed(value: Any) -> bool:
    return is_number(value) and float(value).is_integer() and 0 <= value < 1 << 53


def _of_seed(
    entry: Entry, own: dict[tuple[str, ...], int], declared: set[int]
) -> tuple[int | None, str]:
    """Return the seed that a number is claimed of, and the key that says what it is; or (None, "")."""
    path = [spelled(part) for part in entry.path]
    if any(_OTHERS.search(part) for part in path[:-1]):
        return None, ""
    group = entry.path[:-1]
    if group in own and _A_RUN.match(path[-2]):
        return own[group], path[-1]
    for index, part in enumerate(path):
        match = _SEED.match(part)
        if match is None:
            continue
        named = int(match[1])
        said = part.startswith("seed") or any(PER_SEED.search(p) for p in path[:index])
        if not said and not (index and named in declared):
            continue
        if index == len(path) - 1:
            return named, path[index - 1] if index else ""
        return named, path[-1] if index == len(path) - 2 else ""
    if match := _SEED_IN_KEY.match(path[-1]):
        named = int(match["a"] or match["b"])
        # "seed_1_bpb" beside "seeds": [42, ...] counts seeds and names none.
        if not declared or named in declared:
            return named, match["rest"] or match["front"]
    return None, ""


def _aligned(entry: Entry, seeds: list[int]) -> Iterable[tuple[int, str, Entry]]:
    """Yield (seed, key, value) of a list that stands beside a list of as many seeds."""
    if len(seeds) < 2 or len(entry.value) != len(seeds) or not all(map(is_number, entry.value)):
        return
    words = set(spelled(entry.path[-1]).split("_")) - _EACH
    for name, meant in _LIST_WORDS.items():
        if (
            words
            and words <= meant
            and words & {"bpb", "bpbs", "score", "scores", "loss", "losses", "bytes"}
        ):
            for seed, value in zip(seeds, entry.value, strict=True):
                digits = value.digits if isinstance(value, Decimal) else 0
                plain = float(value) if isinstance(value, float) else value
                yield seed, name, Entry(entry.path, plain, digits, entry.line)


def seed_claim(file: str, seed: int, fields: dict[str, Entry]) -> SeedClaim:
    """Return what a file claims of one seed; of several keys for a thing the plainest."""

    def pick(name: str) -> Entry | None:
        for pattern in _FIELDS[name]:
            for key, entry in fields.items():
                if pattern.fullmatch(key):
                    return entry
        return None

    def whole(entry: Entry | None) -> Value[int] | None:
        if entry is None or not float(entry.value).is_integer() or abs(entry.value) >= 1 << 53:
            return None
        return Value(int(entry.value), file, entry.line, ".".join(entry.path))

    def real(entry: Entry | None, factor: float = 1.0) -> Value[float] | None:
        if entry is None:
            return None
        return Value(entry.value * factor, file, entry.line, ".".join(entry.path))

    bpb, loss, time = pick("val_bpb"), pick("val_loss"), pick("train_s")
    factor = 1e-3 if time and spelled(time.path[-1]).endswith("_ms") else 1.0
    return SeedClaim(
        seed=seed,
        val_bpb=real(bpb),
        val_loss=real(loss),
        artifact_bytes=whole(pick("artifact_bytes")),
        steps=whole(pick("steps")),
        train_s=real(time, factor),
        bpb_digits=bpb.digits if bpb else 0,
        loss_digits=loss.digits if loss else 0,
    )
