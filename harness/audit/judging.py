"""All findings of one record, in the order in which a reviewer reads them."""

from __future__ import annotations

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
from checks.contract import Finding, Status, worst
from checks.published import Published, mean
from harness.audit.baselines import predecessor
from harness.audit.contest import Contest
from harness.audit.margin import check_margin
from harness.errors import EXIT_JUDGE


def judge(record: Published, contest: Contest) -> tuple[Finding, ...]:
    """Return the findings of a record on its own; copies of other records' logs are found by the survey."""
    limits = contest.limits
    row, why = predecessor(record, contest.rows)
    return (
        claims_json.check(record),
        claims_score.check(record),
        claims_loss.check(record),
        claims_rounding.check(record),
        claims_deviation.check(record),
        claims_bytes.check(record),
        claims_code.check(record),
        claims_seeds.check(record),
        claims_copies.check(record),
        claims_steps.check(record),
        claims_delta.check(
            record,
            against_bpb=row.mean_bpb if row else None,
            against_loss=mean(row.val_loss) if row else None,
            bytes_per_token=row.bytes_per_token if row else None,
            against=row.id if row else "",
        ),
        claims_ratio.check(record, limits),
        evidence_train.check(record, limits),
        evidence_score.check(record, limits),
        evidence_bytes.check(record, limits),
        evidence_seeds.check(record, limits),
        check_margin(record, row, why, contest.margins),
    )


def exit_code(findings: tuple[Finding, ...]) -> int:
    """Return 1 where a finding is FAIL, 3 where one could not be judged, 0 where all pass."""
    status = worst([finding.status for finding in findings])
    if status is Status.FAIL:
        return 1
    return 0 if status is Status.PASS else EXIT_JUDGE
