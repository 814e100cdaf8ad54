"""Which FAIL of a trial may be due to the trial itself: to this machine, these data, or untrained weights.

Such a finding becomes NOT-RUN and says why: never PASS, and no accusation that a real run might not bear out.

Does not look for reasons in what a submission printed: by that, any failure could be talked away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from checks.contract import Artifact, Challenge, Finding, Status

STARTED = ("time.setup", "time.load", "time.score")
ABSENT = ": is not there"
"""How the seal refuses an output that training did not leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a trial lacks in comparison with a run that counts; each text is a clause, or ""."""

    fresh: bool
    """Whether the artifact is untrained."""
    lacking: str = ""
    """Packages of the ruleset that are imported and not installed here."""
    no_gpu: str = ""
    """That the code speaks of CUDA and there is no GPU."""
    other_tokenizer: str = ""
    """That the data are not those of the contest, and have another vocabulary."""
    vocabulary: str = ""
    """That the data were not chosen for the submission; a reason where an answer has another length."""


def doubted(
    finding: Finding,
    here: Circumstances,
    *,
    artifact: Artifact | None,
    challenge: Challenge | None,
    cap_bytes: int,
) -> Finding:
    """Return the finding, or, where it is a FAIL that the trial may have caused, NOT-RUN with the reasons."""
    if finding.status is not Status.FAIL:
        return finding
    reasons = _reasons(finding, here, artifact, challenge, cap_bytes)
    if not reasons:
        return finding
    message = f"{finding.message}; not held against it here: {'; '.join(reasons)}"
    return replace(finding, status=Status.NOT_RUN, message=message)


def only_absent(artifact: Artifact | None) -> bool:
    """Return whether all that the seal refused are outputs that were not left."""
    return artifact is not None and bool(artifact.refusals) and all(map(_absent, artifact.refusals))


def _absent(refusal: str) -> bool:
    return refusal.startswith("output ") and refusal.endswith(ABSENT)


def _reasons(
    finding: Finding,
    here: Circumstances,
    artifact: Artifact | None,
    challenge: Challenge | None,
    cap_bytes: int,
) -> list[str]:
    if finding.id == "bytes.artifact" and here.fresh and artifact is not None:
        return _of_bytes(artifact, cap_bytes)
    machine, data = [here.lacking, here.no_gpu], [here.other_tokenizer]
    how = _how_it_ended(finding)
    if finding.id in STARTED or finding.id == "score.complete":
        reasons = {"exited": machine + data, "deadline": [here.no_gpu]}.get(how, [])
        return _said(reasons)
    broken_off = (
        challenge is not None and challenge.breach is not None and "kind" in finding.evidence
    )
    if broken_off or (finding.id == "norm.target" and challenge and not challenge.has_predict):
        # Rows of another length, tokens that are not there: what a scorer for another vocabulary does.
        length = isinstance(finding.evidence, dict) and finding.evidence.get("kind") == "count"
        return _said(data) or _said([here.vocabulary] if length else [])
    return []


def _of_bytes(artifact: Artifact, cap_bytes: int) -> list[str]:
    if only_absent(artifact):
        return ["training was not done, and left nothing"]
    code = sum(file.size_bytes for file in artifact.files if file.origin != "output")
    if not artifact.refusals and code + artifact.tokenizer_bytes <= cap_bytes:
        return ["the weights are untrained, and trained ones may compress better"]
    return []


def _how_it_ended(finding: Finding) -> str:
    """Return "exited" where the process went away, "deadline" where the clock ended it, "" otherwise."""
    breach = finding.evidence.get("breach")
    if finding.id == "score.complete":
        return "exited" if isinstance(breach, dict) and breach.get("kind") == "closed" else ""
    return str(finding.evidence.get("outcome", ""))


def _said(reasons: Sequence[str]) -> list[str]:
    return [reason for reason in reasons if reason]
