"""The statement of a run, ready to be signed, once its verdict has been worked out again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.attest import evidence, statement
from harness.attest.regrading import Regraded, read_plan_of, regrade
from harness.clock import utc_now
from harness.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A payload, or why there is none."""

    regraded: Regraded
    payload: bytes | None
    """None where report.json is not what the evidence gives."""


def payload_of(folder: Path, data: Path | None = None) -> Made:
    """Regrade the run in FOLDER and return the statement over it, as bytes, if its report holds.

    Raises what `regrade` raises, and UsageError where the run is not finished or did not note its machine.
    """
    regraded = regrade(folder, data)
    if regraded.unfinished:
        raise UsageError(
            f"{folder}: not finished ({regraded.unfinished} of {len(regraded.stored.report.seeds)} seeds to "
            f"do); finish it with `harness run --resume {folder}`"
        )
    if regraded.status != "PASS":
        return Made(regraded=regraded, payload=None)
    if "machine" in regraded.not_compared:
        raise UsageError(
            f"{folder}: an older harness judged it and did not note on which machine; "
            "judge it anew with this one"
        )
    plan = read_plan_of(folder)
    stated = statement.state(
        regraded.stored.report,
        report_sha256=regraded.stored.sha256,
        plan=plan,
        evidence=evidence.digests(folder, plan.seeds),
        when_utc=utc_now(),
    )
    return Made(regraded=regraded, payload=statement.encode(stated))
