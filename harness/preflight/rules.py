"""The ruleset of a trial: that of the contest, with what a trial does not measure left out or cut short.

Caps, limits, environment, tolerances, and the budgets of setup, load and score are the contest's own. It
cannot be taken for the contest's ruleset: its name says so, and so does its digest.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from harness.ruleset import Challenges, Loaded, Ruleset, parse

TRAIN_S = 20.0
"""What a trainer is told that it has; one that knows nothing of trials trains for so long."""
TRAIN_GRACE_S = 40.0
"""More, for exports that take longer than that; how long training takes is not judged."""
CHALLENGE_S = 120.0
MOST = {"blind": 256, "future": 8, "target": 8, "target_tokens": 8, "target_whole": 8, "repeat": 4}
"""Questions of one round, at most; as many rounds as the contest's ruleset has, while the budget lasts."""
NOT_JUDGED = frozenset({"time.train", "stats.margin"})
"""Checks that a trial has nothing to show for."""


def trial_rules(
    rules: Loaded, *, guarantees_required: bool, free_tokenizer: bool = False
) -> Loaded:
    """Return the ruleset of a trial under `rules`; it has no baseline.

    `free_tokenizer` says that the trial's data have another tokenizer than the contest's: its bytes are then
    no part of what a submission brings.
    """
    whole, replace = rules.ruleset, msgspec.structs.replace
    phases = replace(
        whole.phases,
        train_s=min(whole.phases.train_s, TRAIN_S),
        train_grace_s=max(whole.phases.train_grace_s, TRAIN_GRACE_S),
        challenge_s=min(whole.phases.challenge_s, CHALLENGE_S),
    )
    ruleset = replace(
        whole,
        name=f"trial of {whole.name}",
        title=f"A trial, which no result follows from: {whole.title}",
        phases=phases,
        challenge=_fewer(whole.challenge),
        bytes=replace(whole.bytes, tokenizer="free") if free_tokenizer else whole.bytes,
        stats=replace(whole.stats, baseline=""),
        data=replace(whole.data, val_text_sha256="", train_text_sha256=""),
        verdict=replace(
            whole.verdict,
            required=tuple(c for c in whole.verdict.required if c not in NOT_JUDGED),
            guarantees=whole.verdict.guarantees if guarantees_required else (),
        ),
    )
    text = to_toml(ruleset)
    return Loaded(
        ruleset=parse(text, ruleset.name),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        baseline_text=None,
    )


def _fewer(asked: Challenges) -> Challenges:
    return msgspec.structs.replace(
        asked, **{name: min(getattr(asked, name), most) for name, most in MOST.items()}
    )


def to_toml(ruleset: Ruleset) -> str:
    """Return a ruleset as TOML that `harness.ruleset.parse` reads back to the same."""
    tables = msgspec.to_builtins(ruleset)
    plain = {name: value for name, value in tables.items() if not isinstance(value, dict)}
    lines = [f"{name} = {_value(value)}" for name, value in plain.items()]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += [
                "",
                f"[{name}]",
                *(f"{key} = {_value(value)}" for key, value in table.items()),
            ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
