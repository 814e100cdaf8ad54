"""submission.session: the submission's own scorer went through a whole judged session, challenges included.

The findings of that session say what it showed. This one says whether there was one, and if not, why: nobody
takes a trial that stopped early for one that found nothing.

Does not catch: anything about the session itself; a real run, which is longer, on other data and with trained
weights.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.submitted import Tried

ID = "submission.session"


def check(found: Tried) -> Finding:
    """Say how far the session came: to its end PASS, otherwise NOT-RUN; ERROR where the judge failed."""
    evidence = {
        "reached": found.reached,
        "weights": found.weights,
        "tokens": found.tokens,
        "questions": found.questions,
    }
    if found.fault:
        return Finding(
            id=ID,
            status=Status.ERROR,
            message=f"the judge failed: {found.why_not}",
            evidence=evidence,
        )
    if found.why_not:
        where = f"after {found.reached}" if found.reached else "before anything was started"
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message=f"stopped {where}: {found.why_not}",
            evidence=evidence,
        )
    return Finding(
        id=ID,
        status=Status.PASS,
        message=(
            f"{found.tokens:,} tokens were scored and {found.questions:,} questions answered, with "
            f"{found.weights} weights"
        ),
        evidence=evidence,
    )
