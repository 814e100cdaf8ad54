"""claims.json: there is a submission.json, and it is JSON.

Does not catch: keys that nobody else uses, or values of another kind than their names say.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Published

ID = "claims.json"


def check(record: Published) -> Finding:
    """PASS where strict JSON reads the file; FAIL where it is missing or where only a lenient reader can."""
    claims = record.claims
    if claims is None:
        return Finding(id=ID, status=Status.FAIL, message="there is no submission.json")
    if claims.strict_json:
        return Finding(id=ID, status=Status.PASS, message=f"{claims.file} is JSON")
    how = "; it was read after mending, and no claim of it is used" if claims.mended else ""
    return Finding(
        id=ID, status=Status.FAIL, message=f"{claims.file} is not strict JSON: {claims.error}{how}"
    )
