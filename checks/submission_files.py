"""submission.files: the judge can copy the folder, and the declared code leaves room under the cap.

What is refused in the folder (links, devices, sparse files) is refused at the seal too, where it costs a
training; and code alone that is over the cap can never be within it with weights.

Does not catch: what training will leave, its size included; files that are declared and never opened.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.submitted import Copied

ID = "submission.files"
_NAMED = 3
"""How many refused files a message names."""


def check(found: Copied) -> Finding:
    """Say whether everything that is declared can be copied, and takes at most the cap.

    What is refused without being declared is no fault: it is not there for the submission. See `left_out`.
    """
    refused = [f"{name} {reason}" for name, reason in _declared(found)]
    faults = []
    if found.problem:
        faults.append(found.problem)
    if refused:
        more = f" (and {len(refused) - _NAMED} more)" if len(refused) > _NAMED else ""
        faults.append(f"artifact.code: {', '.join(refused[:_NAMED])}{more}")
    over = found.code_bytes - found.cap_bytes
    if over > 0:
        faults.append(
            f"code and manifest alone have {found.code_bytes:,} bytes, {over:,} over the cap of "
            f"{found.cap_bytes:,}"
        )
    files = f"{found.files:,} file{'' if found.files == 1 else 's'}"
    return Finding(
        id=ID,
        status=Status.FAIL if faults else Status.PASS,
        message=(
            "; ".join(faults)
            or f"{files} of {found.size_bytes:,} bytes; code and manifest take {found.code_bytes:,} of "
            f"{found.cap_bytes:,} bytes"
        ),
        measured=found.code_bytes,
        limit=found.cap_bytes,
        unit="bytes",
        evidence={
            "files": found.files,
            "size_bytes": found.size_bytes,
            "refused": dict(found.refused),
        },
    )


def left_out(found: Copied) -> list[tuple[str, str]]:
    """Return (name, reason) of what is refused and not declared: it will not be there in training."""
    declared = _declared(found)
    return [each for each in found.refused if each not in declared]


def is_whole(found: Copied) -> bool:
    """Return whether there is a copy with everything that is declared, whatever its size."""
    return not found.problem and not _declared(found)


def _declared(found: Copied) -> list[tuple[str, str]]:
    """Return what is refused and declared, or a folder on the way to what is."""
    return [
        (name, reason)
        for name, reason in found.refused
        if any(other == name or other.startswith(f"{name}/") for other in found.declared)
    ]
