"""bytes.artifact: every byte that crosses into the scorer, counted, is at most the ruleset's cap.

The judge counts apparent sizes of the sealed copies: code as it is stored, weights, the tokenizer where the
ruleset counts it. What a log or submission.json says of the size is not read.

Does not catch: bytes that reach the scorer by a way other than the artifact (a cache, a network, an installed
package); those are the sandbox's business, and the report says how far this machine closes them.
"""

from __future__ import annotations

from typing import Any

from checks.contract import Artifact, CountedFile, Finding, Status

ID = "bytes.artifact"
_NAMED = 3
"""How many of the largest files an overrun names."""


def check(artifact: Artifact | None, cap_bytes: int) -> Finding:
    """Say whether the sealed artifact holds at most `cap_bytes`, with nothing refused at the seal.

    None, and an artifact without files, is NOT-RUN: nothing was sealed.
    """
    if artifact is None or not (artifact.files or artifact.refusals):
        what = (
            "the seal was not reached" if artifact is None else "the sealed artifact has no files"
        )
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message=f"nothing to count: {what}",
            limit=cap_bytes,
            unit="bytes",
        )
    total = artifact.total_bytes
    faults = []
    if artifact.refusals:
        faults.append(_refused(artifact.refusals))
    if total > cap_bytes:
        faults.append(_overrun(artifact, total - cap_bytes, cap_bytes))
    if faults:
        status, message = Status.FAIL, "; ".join(faults)
    else:
        held = f"{total:,} bytes in {_files(len(artifact.files))}"
        message = f"{held}, {cap_bytes - total:,} below the cap of {cap_bytes:,}"
        status = Status.PASS
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=total,
        limit=cap_bytes,
        unit="bytes",
        evidence=_evidence(artifact),
    )


def _refused(refusals: tuple[str, ...]) -> str:
    more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
    return f"refused at the seal: {refusals[0]}{more}"


def _overrun(artifact: Artifact, over: int, cap_bytes: int) -> str:
    named = [f"{file.path} {file.size_bytes:,}" for file in _largest_first(artifact)[:_NAMED]]
    if artifact.tokenizer_bytes:
        named.append(f"the data set's tokenizer {artifact.tokenizer_bytes:,}")
    unit = "byte" if over == 1 else "bytes"
    return (
        f"{artifact.total_bytes:,} bytes, {over:,} {unit} over the cap of {cap_bytes:,}; "
        f"largest: {', '.join(named)}"
    )


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def _largest_first(artifact: Artifact) -> list[CountedFile]:
    return sorted(artifact.files, key=lambda file: (-file.size_bytes, file.path))


def _evidence(artifact: Artifact) -> dict[str, Any]:
    return {
        "files": [
            {
                "path": file.path,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "origin": file.origin,
            }
            for file in _largest_first(artifact)
        ],
        "tokenizer_bytes": artifact.tokenizer_bytes,
        "refusals": list(artifact.refusals),
        "digest": artifact.digest,
    }
