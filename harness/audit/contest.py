"""A contest's constants and its table of earlier records, from the data files that the package ships.

Both are TOML and come from here or from a file that the user names, never from a record.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from checks.contract import Margin
from checks.published_limits import Limits, Tokenizer
from harness import ruleset
from harness.errors import RulesetError

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a TOML file: unknown keys are refused."""


class _Tokenizer(_Section, frozen=True):
    name: str
    bytes_per_token: Positive
    val_tokens: tuple[int, ...]


class _Constants(_Section, frozen=True):
    schema: Literal[1]
    name: str
    rulesets: tuple[str, ...]
    train_grace_s: Annotated[float, msgspec.Meta(ge=0, le=3600)]
    gpus: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    text_bytes: Annotated[int, msgspec.Meta(gt=0)]
    tracks: tuple[str, str]
    baselines: str
    tokenizer: Annotated[tuple[_Tokenizer, ...], msgspec.Meta(min_length=1)]


class Row(_Section, frozen=True, kw_only=True):
    """One earlier record: what a later one has to beat."""

    id: str
    date: Annotated[str, msgspec.Meta(pattern=r"^20\d\d-\d\d-\d\d$")]
    pull_request: int = 0
    """0 where the record's own files do not say it."""
    score: str
    """Which of the logs' scores."""
    seeds: tuple[int, ...]
    val_bpb: Annotated[tuple[Positive, ...], msgspec.Meta(min_length=1)]
    val_loss: tuple[Positive, ...] = ()
    bytes_per_token: Positive

    @property
    def mean_bpb(self) -> float:
        """Return the mean in bits per byte."""
        return sum(self.val_bpb) / len(self.val_bpb)


class _Table(_Section, frozen=True, kw_only=True):
    schema: Literal[1]
    record: tuple[Row, ...] = ()


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a record is held against."""

    limits: Limits
    margins: tuple[tuple[str, Margin], ...]
    """By the names of their rulesets; the first decides."""
    rows: tuple[Row, ...]


def load(name: str = "parameter-golf", baselines: Path | None = None) -> Contest:
    """Return a shipped contest, with its own table of earlier records or another one.

    Raises RulesetError for a name that is not shipped and for a table that is none.
    """
    root = resources.files("harness") / "audit"
    source = root / "contests" / f"{name}.toml"
    if "/" in name or not source.is_file():
        raise RulesetError(f"no contest {name!r}; parameter-golf is the one that is shipped")
    constants = msgspec.convert(tomllib.loads(source.read_text("utf-8")), _Constants)
    rulesets = [(name, ruleset.load(name).ruleset) for name in constants.rulesets]
    first = rulesets[0][1]
    rows = read_table(
        (root / "baselines" / constants.baselines).read_text("utf-8"), constants.baselines
    )
    if baselines is not None:
        rows = read_table(_text(baselines), str(baselines))
    return Contest(
        limits=Limits(
            name=constants.name,
            train_s=first.phases.train_s,
            train_grace_s=constants.train_grace_s,
            score_s=first.phases.score_s,
            cap_bytes=first.bytes.cap_bytes,
            min_seeds=first.stats.min_seeds,
            gpus=constants.gpus,
            text_bytes=constants.text_bytes,
            tracks=constants.tracks,
            tokenizers=tuple(
                Tokenizer(name=t.name, bytes_per_token=t.bytes_per_token, val_tokens=t.val_tokens)
                for t in constants.tokenizer
            ),
        ),
        margins=tuple((name, rules.margin()) for name, rules in rulesets),
        rows=rows,
    )


def read_table(text: str, origin: str) -> tuple[Row, ...]:
    """Return the rows of a table of earlier records; raises RulesetError with the field that is wrong."""
    try:
        return msgspec.convert(tomllib.loads(text), _Table).record
    except ruleset.UNREADABLE as error:
        raise RulesetError(
            f"{origin}: {error}; write one with `harness audit --write-baselines`"
        ) from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise RulesetError(f"{path}: {reason}; give the path of a table of records") from None
