"""Each check over a published record has its page, and each message quoted there is one that it gives."""

import dataclasses
import math
from pathlib import Path

import pytest

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
from checks.contract import Margin
from checks.published import Found, Value
from harness.audit.baselines import predecessor
from harness.audit.contest import Row
from harness.audit.margin import check_margin
from tests.checks.records import (
    EARLIER,
    LIMITS,
    claimed,
    claims_of,
    found,
    honest_logs,
    logged,
    record,
    score,
    with_claims,
    with_logs,
)

PAGES = Path(__file__).parents[2] / "docs" / "rules"
HEADINGS = ("States", "Why", "How it is measured", "Example", "Does not catch", "Mending a FAIL")
ORDER = (
    "claims.json",
    "claims.score",
    "claims.loss",
    "claims.rounding",
    "claims.deviation",
    "claims.bytes",
    "claims.code",
    "claims.seeds",
    "claims.copies",
    "claims.steps",
    "claims.delta",
    "claims.ratio",
    "evidence.train",
    "evidence.score",
    "evidence.bytes",
    "evidence.seeds",
    "evidence.margin",
)


def quoting(text, *scores):
    """Return a record of these scores with a title."""
    logs = honest_logs(scores, range(1, len(scores) + 1))
    return record(logs, texts=(Value(text, "README.md", 1, "title"),))


def counting(claim, *totals, code=60_000, claimed_code=60_000):
    logs = [
        dataclasses.replace(
            log,
            counted=found(total, file=log.name, line=167),
            codes=found(code, file=log.name, line=150, words="Code size"),
        )
        for log, total in zip(honest_logs(), totals, strict=True)
    ]
    changes = {"bytes_total": claimed(claim, "bytes_total", 5)}
    return claims_bytes.check(
        record(logs, claims_of(logs, bytes_code=claimed(claimed_code, "bytes_code", 6), **changes))
    )


def one_seed_three_names():
    logs = [
        dataclasses.replace(log, seed=found(1337, file=log.name, line=1073))
        for log in honest_logs()
    ]
    return claims_seeds.check(record(logs, claims_of(logs, seeds=(42, 314, 999))))


def copied():
    one = dataclasses.replace(honest_logs()[0], seed=Found())
    other = dataclasses.replace(one, name="train_seed314.log", seed_in_name=314)
    return claims_copies.check(record([one, other], claims_of([one])))


def ratio(bytes_per_token, tokens):
    value = 1.0108
    loss = value * math.log(2) * bytes_per_token
    log = logged(42, score(value, val_loss=loss), val_tokens=found(tokens) if tokens else Found())
    return claims_ratio.check(record([log]), LIMITS)


def with_the_code_as_it_is():
    sizes = ((157_000, "Code size (uncompressed)"), (31_000, "Code size (compressed)"))
    codes = Found(tuple(Value(size, "train.log", 6, words) for size, words in sizes))
    log = dataclasses.replace(
        honest_logs()[0], counted=found(15_907_550, file="train_seed42.log", line=186), codes=codes
    )
    scripts = (Value(157_430, "train_gpt.py", 0),)
    return evidence_bytes.check(record([log], scripts=scripts), LIMITS)


def margin():
    """Return the sliding losses of PR #1302 against those of PR #1019, as two made-up records."""
    new = (1.87595330, 1.87342257, 1.87626598)
    old = (1.88276292, 1.88156874, 1.88220393)
    rate = math.log(2) * 2.43592
    logs = [logged(i, score(loss / rate, val_loss=loss)) for i, loss in enumerate(new)]
    row = Row(
        id="2026-03-25_Earlier",
        date="2026-03-25",
        score="final",
        seeds=(314, 42, 999),
        val_bpb=tuple(loss / rate for loss in old),
        val_loss=old,
        bytes_per_token=2.43592,
    )
    readme = Margin(test="welch", margin_nats=0.005, margin_in_null=True, alpha=0.01, min_seeds=3)
    frontier = Margin(
        test="welch", margin_nats=0.005, margin_in_null=False, alpha=0.25, min_seeds=3
    )
    margins = (("readme", readme), ("frontier", frontier))
    published = record(logs)
    return check_margin(published, *predecessor(published, (row,)), margins)


def examples():
    """Return a finding for every message that a page quotes."""
    losses = [log.scores[0].val_loss for log in honest_logs()]
    quantised = claimed(round(sum(losses) / 3, 5), "val_loss", 4)
    middle = honest_logs()
    line = score(1.07771, place="train_seed42.log:279", validation=True)
    middle[0] = dataclasses.replace(middle[0], scores=(line, *middle[0].scores))
    mixed = score(0.98, val_loss=None, place="train_seed42.log:445", text_bytes=27_048_621)
    eight_logs = honest_logs()
    best = claims_of(eight_logs, val_bpb=claimed(1.08098765, "val_bpb"), bpb_digits=8)
    return [
        claims_json.check(with_claims(strict_json=False, mended=True, error="Extra data: line 22")),
        claims_score.check(with_claims(val_bpb=claimed(1.07100, "val_bpb", 9))),
        claims_score.check(record(middle, claims_of(middle, val_bpb=claimed(1.07771, "b", 9)))),
        claims_loss.check(with_claims(val_loss=quantised)),
        claims_rounding.check(quoting("1.0793", 1.07905, 1.07915, 1.07952)),
        claims_rounding.check(with_claims(val_bpb=claimed(1.0812, "val_bpb"), bpb_digits=4)),
        claims_deviation.check(
            with_claims(std_bpb=claimed(0.00021, "val_bpb_std", 10), std_digits=5)
        ),
        counting(15_977_665, 16_054_963, 16_058_494, 16_059_704, code=80_055),
        counting(15_882_446, *[15_884_843] * 3, code=60_906, claimed_code=58_509),
        claims_code.check(with_claims(bytes_code=claimed(48_917, "bytes_code", 10))),
        claims_code.check(record(scripts=())),
        one_seed_three_names(),
        claims_seeds.check(with_claims(seeds=(42, 314, 999, 1337))),
        copied(),
        claims_steps.check(with_claims(train_s=claimed(480.0, "train_time_s"))),
        claims_delta.check(
            with_claims(deltas=(claimed(0.00874, "delta_nats", 12).best,)), **EARLIER
        ),
        ratio(4.3864, 40_540_160),
        ratio(3.0997, 9_662_464),
        ratio(2.88, None),
        claims_ratio.check(record([logged(42, mixed)]), LIMITS),
        evidence_train.check(
            with_logs(stop_ms=found(601_153.0, file="train_seed42.log", line=174)), LIMITS
        ),
        evidence_score.check(
            with_logs(total_eval_s=found(610.4, file="train_seed42.log", line=322)), LIMITS
        ),
        evidence_score.check(
            with_claims(eval_s=(claimed(688.0, "eval_ops_seconds", 37).best,)), LIMITS
        ),
        with_the_code_as_it_is(),
        evidence_bytes.check(
            with_logs(counted=found(16_071_321, file="train_seed1337.log", line=246)), LIMITS
        ),
        evidence_seeds.check(record(eight_logs, best), LIMITS),
        margin(),
    ]


def test_every_check_of_a_record_has_a_page_and_no_page_lacks_a_check():
    pages = {page.stem for page in PAGES.glob("*.md")}
    assert {page for page in pages if page.startswith(("claims.", "evidence."))} == set(ORDER)


@pytest.mark.parametrize("check", ORDER)
def test_a_page_answers_the_same_six_questions(check):
    page = (PAGES / f"{check}.md").read_text("utf-8")
    assert page.startswith(f"# `{check}`\n")
    places = [page.index(f"\n**{heading}") for heading in HEADINGS]
    assert places == sorted(places)
    prose = [line for line in page.splitlines() if not line.startswith("    ")]
    assert max(map(len, prose)) <= 110


def test_messages_on_the_pages_are_those_of_the_checks():
    given = {(finding.id, finding.message) for finding in examples()}
    quoted = {
        (check, line.strip())
        for check in ORDER
        for line in (PAGES / f"{check}.md").read_text("utf-8").splitlines()
        if line.startswith("    ")
    }
    assert quoted == given
