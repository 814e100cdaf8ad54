"""gate.size: a pull request is small enough to be judged, and to be read.

The limits are those of the base. Bytes are of the contents that are added, before any compression of git's.

Does not catch: contents that unpack to more.
"""

from __future__ import annotations

from checks.contract import Finding, Status

ID = "gate.size"


def check(
    *,
    folders: int,
    files: int,
    size_bytes: int | None,
    max_folders: int,
    max_files: int,
    max_bytes: int,
    counted: bool = True,
) -> Finding:
    """Say whether no more is added than `max_folders` folders, `max_files` paths and `max_bytes` bytes.

    `size_bytes` is None where nobody added it up, which is so only with too many files; `counted` says
    whether `files` is all of them.
    """
    faults = []
    if folders > max_folders:
        faults.append(f"{folders:,} folders are added, more than {max_folders:,}")
    if files > max_files:
        many = "" if counted else " or more"
        faults.append(f"{files:,} paths{many} are changed, more than {max_files:,}")
    if size_bytes is not None and size_bytes > max_bytes:
        faults.append(f"{size_bytes:,} bytes are added, more than {max_bytes:,}")
    held = f"{files:,} path{'' if files == 1 else 's'} with {size_bytes or 0:,} bytes"
    evidence = {
        "folders": folders,
        "max_folders": max_folders,
        "files": files,
        "max_files": max_files,
        "size_bytes": size_bytes,
        "max_bytes": max_bytes,
    }
    return Finding(
        id=ID,
        status=Status.FAIL if faults else Status.PASS,
        message="; ".join(faults) + "; nothing of it was judged: add less at a time"
        if faults
        else held,
        measured=size_bytes,
        limit=max_bytes,
        unit="bytes",
        evidence=evidence,
    )
