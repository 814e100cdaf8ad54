"""Verified runs for a board, made of the passing sample: scores, dates, names, digests as a test likes."""

import hashlib
import math

import msgspec

from harness import ruleset
from harness.board.folders import Verified
from harness.board.model import Key
from tests.harness.report import samples

replaced = msgspec.structs.replace
RULES = ruleset.load("parameter-golf")
FRONTIER = ruleset.load("parameter-golf-frontier")
SAMPLE = samples.passing()
KEY = Key(file="organiser.pem", keyid="8d" * 32)


def of_rules(rules):
    own = rules.ruleset
    return replaced(
        SAMPLE.ruleset,
        name=own.name,
        version=own.version,
        title=own.title,
        sha256=rules.sha256,
    )


def run(name, nats, *, day=1, rules=RULES, digest=None, place=None, rate=None, **more):
    """A verified run of as many seeds as `nats`, on the sample's text; `rate` is bytes a token."""
    sample = SAMPLE
    text_bytes = sample.data.val_text_bytes
    tokens = sample.data.val_tokens if rate is None else round(text_bytes / rate)
    seeds = tuple(
        replaced(
            sample.seeds[0],
            seed=seed,
            tokens=tokens,
            nats_per_token=x,
            bits_per_byte=x * tokens / text_bytes / math.log(2),
        )
        for seed, x in enumerate(nats, 1)
    )
    report = replaced(
        sample,
        **{
            "run_id": f"run-{name}",
            "created_utc": f"2026-11-{day:02}T06:15:42Z",
            "ruleset": of_rules(rules),
            "submission": replaced(
                sample.submission,
                name=name,
                digest=digest or hashlib.sha256(name.encode()).hexdigest(),
            ),
            "data": replaced(sample.data, val_tokens=tokens),
            "seeds": seeds,
            **more,
        },
    )
    return Verified(
        place=place or f"runs/{name}", report=report, signed_by=(KEY,), train_text_sha256="77" * 32
    )


def with_rules(**sections):
    """The contest's rules with some fields of sections replaced: with_rules(data={"name": "x"})."""
    own = RULES.ruleset
    changed = {
        section: replaced(getattr(own, section), **fields) for section, fields in sections.items()
    }
    return replaced(RULES, ruleset=replaced(own, **changed))
