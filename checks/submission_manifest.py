"""submission.manifest: submission.toml can be read, and the ruleset can judge what it describes.

The file, the fields, the code files that it names, the programs that it starts, the length of its blocks:
what `harness run` would refuse before anything is started.

Does not catch: a manifest that is right in form and wrong in what it says, such as a block length that the
scorer does not expect.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.submitted import Described

ID = "submission.manifest"


def check(found: Described) -> Finding:
    """Say whether a submission's manifest can be used.

    A program that is not on this machine is NOT-RUN: it may well be on the contest's.
    """
    if found.problem:
        return Finding(id=ID, status=Status.FAIL, message=found.problem)
    if found.missing_program:
        return Finding(id=ID, status=Status.NOT_RUN, message=found.missing_program)
    code = f"{found.code:,} code file{'' if found.code == 1 else 's'}"
    outputs = f"{found.outputs:,} output{'' if found.outputs == 1 else 's'} of training"
    return Finding(
        id=ID,
        status=Status.PASS,
        message=f"can be read, and the ruleset takes it: {code} and {outputs} make the artifact",
    )
