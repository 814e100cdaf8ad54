"""claims.json: there is a submission.json, and it is JSON.

Does not catch: keys that nobody else uses, or values of another kind than their names say.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.published import Published

ID = "claims.json"
FILE = "submission.json"


def check(record: Published) -> Finding:
    """PASS where strict JSON reads the file; FAIL where it is missing or where only a lenient reader can.

    NOT-RUN: there is a file, or may be, that could not be read: it is a link, or nobody may read it.
    """
    claims = record.claims
    if claims is None:
        unread = _unread(record)
        if unread:
            words = f"{FILE} cannot be read ({unread})"
            return Finding(id=ID, status=Status.NOT_RUN, message=words)
        return Finding(id=ID, status=Status.FAIL, message="there is no submission.json")
    if claims.strict_json:
        return Finding(id=ID, status=Status.PASS, message=f"{claims.file} is JSON")
    how = "; it was read after mending, and no claim of it is used" if claims.mended else ""
    return Finding(
        id=ID, status=Status.FAIL, message=f"{claims.file} is not strict JSON: {claims.error}{how}"
    )


def _unread(record: Published) -> str:
    """Return why it is not known what the file says, though it may be there; or ""."""
    for problem in record.problems:
        if problem.file == FILE:
            return "it may not be read" if problem.value == "cannot be read" else problem.value
        if problem.file == "." and problem.value == "cannot be listed":
            return "the folder cannot be listed"
    return ""
