"""Published records in memory: an honest one of several seeds, whatever is changed of it, and any nonsense.

A record is made the way the reader makes one: logs and claims first, then the runs behind the claim by
`find_headline`. So a claim that is moved here is moved as in a folder.
"""

import dataclasses
import math
import statistics

from hypothesis import strategies as st

from checks import (
    claims_bytes,
    claims_code,
    claims_copies,
    claims_delta,
    claims_deviation,
    claims_json,
    claims_loss,
    claims_ratio,
    claims_rounding,
    claims_score,
    claims_seeds,
    claims_steps,
    evidence_bytes,
    evidence_score,
    evidence_seeds,
    evidence_train,
)
from checks.published import (
    Claims,
    Found,
    Headline,
    Log,
    Published,
    Run,
    Score,
    SeedClaim,
    Value,
    mean,
    std,
)
from checks.published_limits import Limits, Tokenizer
from harness.audit.headline import find_headline

SP8192 = Tokenizer(
    name="8192-token SentencePiece", bytes_per_token=3.727, val_tokens=(40_540_160, 40_548_352)
)
CASEOPS = Tokenizer(name="8192-token CaseOps", bytes_per_token=3.157, val_tokens=(47_851_520,))
SP1024 = Tokenizer(name="1024-token SentencePiece", bytes_per_token=2.436, val_tokens=(62_021_632,))
PLAIN_BYTES = Tokenizer(name="bytes", bytes_per_token=1.0, val_tokens=())
LIMITS = Limits(
    tracks=("record", "non-record"),
    name="made-up contest",
    train_s=600.0,
    train_grace_s=1.0,
    score_s=600.0,
    cap_bytes=16_000_000,
    min_seeds=3,
    gpus=8,
    text_bytes=151_080_000,
    tokenizers=(SP8192, CASEOPS, SP1024, PLAIN_BYTES),
)
SEEDS = (42, 314, 999)
SCORES_BPB = (1.08123456, 1.08098765, 1.08155001)
JSON = "submission.json"
EARLIER = {
    "against_bpb": 1.0900,
    "against_loss": 2.81591,
    "bytes_per_token": 3.727,
    "against": "the record before",
}


def found(*values, file="train.log", line=1, words=""):
    return Found(tuple(Value(value, file, line, words) for value in values))


def score(val_bpb, *, val_loss="fitting", name="final", place="train.log:9", **more):
    if val_loss == "fitting":
        val_loss = round(val_bpb * math.log(2) * SP8192.bytes_per_token, 8)
    more = {"eval_ms": 400_000.0, "loss_digits": 8, "bpb_digits": 8} | more
    return Score(name=name, place=place, val_loss=val_loss, val_bpb=val_bpb, **more)


def logged(seed, *scores, name=None, **more):
    """Return a log of one training that states everything; `more` replaces fields."""
    name = name or f"train_seed{seed}.log"
    fields = {
        "sha256": f"digest of {name}",
        "problem": "",
        "skipped_bytes": 0,
        "encoding": "utf-8",
        "seed": found(seed, file=name, line=2),
        "seed_in_name": seed,
        "scores": tuple(dataclasses.replace(one, place=f"{name}:9") for one in scores),
        "counted": found(15_900_000 + seed, file=name, line=7, words="Total submission size"),
        "counted_kind": "total",
        "codes": found(60_000, file=name, line=6, words="Code size"),
        "stop_ms": found(599_500.0, file=name, line=5),
        "stop_from": "stopping line",
        "total_eval_s": Found(),
        "val_tokens": found(40_540_160, file=name, line=3),
        "ranks": found(8, file=name, line=1),
        "steps": Value(5_000, name, 4),
        "step_ms": Value(119.9, name, 4),
    }
    return Log(name=name, **(fields | more))


def honest_logs(scores=SCORES_BPB, seeds=SEEDS):
    return [
        logged(seed, score(value, name="quantised"), score(value - 0.001))
        for seed, value in zip(seeds, (round(value + 0.001, 8) for value in scores), strict=True)
    ]


def claimed(value, key, line=3):
    return found(value, file=JSON, line=line, words=key)


def claims_of(logs, **changes):
    """Return what an honest author claims of these logs, the last score of each; `changes` replace fields."""
    last = [log.scores[-1] for log in logs]
    losses = [one.val_loss for one in last]
    fields = {
        "file": JSON,
        "strict_json": True,
        "error": "",
        "val_bpb": claimed(round(mean([one.val_bpb for one in last]), 5), "val_bpb"),
        "bpb_digits": 5,
        "bytes_total": claimed(max(log.counted.value or 0 for log in logs), "bytes_total", 5),
        "bytes_code": claimed(60_000, "bytes_code", 6),
        "seeds": tuple(log.own_seed for log in logs),
        "steps": claimed(5_000, "steps", 8),
        "step_ms": claimed(119.9, "step_avg_ms", 9),
        "train_s": claimed(599.5, "train_time_s", 10),
    }
    if None not in losses:
        fields |= {"val_loss": claimed(round(mean(losses), 5), "val_loss", 4), "loss_digits": 5}
    if len(last) > 1:
        spread = round(std([one.val_bpb for one in last]), 6)
        fields |= {"std_bpb": claimed(spread, "val_bpb_std", 7), "std_digits": 6}
    return Claims(**(fields | changes))


def record(logs=None, claims="honest", **changes):
    """Return the record of a folder with these logs and claims; without any, an honest one of three seeds."""
    logs = honest_logs() if logs is None else logs
    claims = claims_of(logs) if claims == "honest" else claims
    headline = find_headline(claims, logs)
    fields = {
        "id": "2026-05-01_Made_up",
        "date": Value("2026-05-01", JSON, 2),
        "track": Value("record", ".", 0),
        "pull_request": None,
        "claims": claims,
        "headline": dataclasses.replace(headline, runs=tuple(map(completed, headline.runs))),
        "logs": tuple(logs),
        "scripts": (Value(60_000, "train_gpt.py", 0),),
        "artifacts": (),
    }
    return Published(**(fields | changes))


def completed(run):
    """Return a run with what its own log states."""
    log = run.log
    return dataclasses.replace(
        run,
        counted=log.counted,
        counted_kind=log.counted_kind,
        stop_ms=log.stop_ms,
        stop_from=log.stop_from,
        val_tokens=log.val_tokens,
        ranks=log.ranks,
    )


def with_claims(**changes):
    """Return the honest record with some of its claims replaced."""
    logs = honest_logs()
    return record(logs, claims_of(logs, **changes))


def with_logs(**changes):
    """Return the honest record with some fields of each log replaced, and claims that follow them."""
    return record([dataclasses.replace(log, **changes) for log in honest_logs()])


def checks_of(published):
    """Return every finding about a record, by id."""
    found_all = (
        claims_json.check(published),
        claims_score.check(published),
        claims_loss.check(published),
        claims_rounding.check(published),
        claims_deviation.check(published),
        claims_bytes.check(published),
        claims_code.check(published),
        claims_seeds.check(published),
        claims_copies.check(published),
        claims_steps.check(published),
        claims_delta.check(published, **EARLIER),
        claims_ratio.check(published, LIMITS),
        evidence_train.check(published, LIMITS),
        evidence_score.check(published, LIMITS),
        evidence_bytes.check(published, LIMITS),
        evidence_seeds.check(published, LIMITS),
    )
    return {finding.id: finding for finding in found_all}


def failing(published):
    return {name for name, finding in checks_of(published).items() if finding.status == "FAIL"}


# What may be drawn.

bits = st.integers(50_000_000, 300_000_000).map(lambda units: units / 1e8)
"""Scores with eight decimals."""


@st.composite
def honest_records(draw):
    """Draw an honest record: any scores, sizes and times within the limits, each log with its own seed."""
    count = draw(st.integers(3, 6))
    seeds = draw(st.lists(st.integers(0, 99_999), min_size=count, max_size=count, unique=True))
    scores = draw(st.lists(bits, min_size=count, max_size=count, unique=True))
    code = draw(st.integers(1, 100_000))
    logs = []
    for seed, value in zip(seeds, scores, strict=True):
        steps, step_ms = draw(st.integers(200, 20_000)), draw(st.floats(1.0, 29.0))
        logs.append(
            logged(
                seed,
                score(value, eval_ms=draw(st.floats(0.0, 600_000.0))),
                counted=found(draw(st.integers(code, LIMITS.cap_bytes)), words="Total size"),
                codes=found(code, words="Code size"),
                stop_ms=found(steps * step_ms),
                steps=Value(steps, "train.log", 4),
                step_ms=Value(step_ms, "train.log", 4),
            )
        )
    claims = claims_of(
        logs,
        bytes_code=claimed(code, "bytes_code"),
        steps=Found(),
        std_bpb=claimed(round(statistics.stdev(scores), 6), "val_bpb_std"),
    )
    return record(logs, claims, scripts=(Value(code, "train_gpt.py", 0),))


floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=12) | st.sampled_from(
    [
        "delta_nats",
        "gain_bpb",
        "val_bpb 1.0800",
        "Code size (compressed)",
        "bytes_mean",
        "#",
        "1.1079",
    ]
)
wholes = st.integers(0, 10**18) | st.integers(0, 3)
digits = st.integers(0, 30)


def values_of(drawn):
    return st.builds(Value, drawn, texts, st.integers(-5, 99), texts)


def founds(drawn):
    return st.lists(values_of(drawn), max_size=3).map(tuple).map(Found)


any_scores = st.builds(
    Score,
    name=st.sampled_from(["final", "other"]) | texts,
    place=texts,
    val_loss=st.none() | floats,
    val_bpb=floats,
    eval_ms=st.none() | floats,
    loss_digits=digits,
    bpb_digits=digits,
    text_bytes=st.none() | wholes,
    validation=st.booleans(),
)
any_logs = st.builds(
    Log,
    name=st.sampled_from(["a.log", "b_seed1.log", "c.log#lines1-9"]) | texts,
    sha256=st.sampled_from(["", "one", "two"]),
    problem=texts,
    skipped_bytes=wholes,
    encoding=texts,
    seed=founds(wholes),
    seed_in_name=st.none() | wholes,
    scores=st.lists(any_scores, max_size=5).map(tuple),
    counted=founds(wholes),
    counted_kind=st.sampled_from([None, "total", "artifact_line"]),
    codes=founds(wholes),
    stop_ms=founds(floats),
    stop_from=st.none() | texts,
    total_eval_s=founds(floats),
    val_tokens=founds(wholes),
    ranks=founds(wholes),
    steps=st.none() | values_of(wholes),
    step_ms=st.none() | values_of(floats),
)
any_claims = st.builds(
    Claims,
    file=texts,
    strict_json=st.booleans(),
    error=texts,
    mended=st.booleans(),
    val_bpb=founds(floats),
    bpb_digits=digits,
    val_loss=founds(floats),
    loss_digits=digits,
    bytes_total=founds(wholes),
    bytes_code=founds(wholes),
    std_bpb=founds(floats),
    std_digits=digits,
    seeds=st.lists(wholes, max_size=3).map(tuple),
    per_seed=st.lists(
        st.builds(
            SeedClaim,
            seed=wholes,
            val_bpb=st.none() | values_of(floats),
            artifact_bytes=st.none() | values_of(wholes),
            steps=st.none() | values_of(wholes),
            bpb_digits=digits,
        ),
        max_size=3,
    ).map(tuple),
    eval_s=st.lists(values_of(floats), max_size=2).map(tuple),
    deltas=st.lists(values_of(floats), max_size=3).map(tuple),
    steps=founds(wholes),
    step_ms=founds(floats),
    train_s=founds(floats),
)


@st.composite
def any_records(draw):
    """Draw whatever a folder could state, consistent in nothing."""
    logs = draw(st.lists(any_logs, max_size=3))
    runs = [
        completed(
            Run(log=log, score=draw(any_scores), joined=tuple(draw(st.lists(texts, max_size=1))))
        )
        for log in logs
    ]
    return Published(
        id=draw(texts),
        date=None,
        track=draw(st.none() | values_of(st.sampled_from(["record", "non-record"]))),
        pull_request=None,
        claims=draw(st.none() | any_claims),
        headline=Headline(
            rule=draw(st.sampled_from(["single log", "best of several logs"]) | texts),
            name=draw(texts),
            runs=tuple(runs),
            reproduces=draw(st.none() | st.booleans()),
        ),
        logs=tuple(logs),
        scripts=tuple(draw(st.lists(values_of(wholes), max_size=3))),
        artifacts=tuple(draw(st.lists(values_of(wholes), max_size=2))),
        texts=tuple(draw(st.lists(values_of(texts), max_size=2))),
    )
