"""The judged session of a trial: the steps of a run, on an excerpt, with an artifact that was not trained.

The judge is that of a run (harness.conduct, harness.verdict); only the ruleset is cut short, and the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.contract import Finding, Outcome, PhaseTime
from checks.submitted import Tried
from harness import verdict
from harness.conduct import Untrained, conduct
from harness.data.dataset import Dataset
from harness.isolation import Survey
from harness.journal import write_atomically
from harness.launch import Listener
from harness.preflight.doubts import Circumstances, doubted, only_absent
from harness.preflight.rules import NOT_JUDGED
from harness.report.model import Report, encode
from harness.ruleset import Loaded
from harness.run import Run, SeedEvidence
from harness.sandbox.mechanisms import Level
from harness.storage import writing

SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session showed."""

    run: Run
    report: Report
    evidence: SeedEvidence
    findings: tuple[Finding, ...]
    """In the order of a report, doubtful ones as NOT-RUN."""
    tried: Tried


def hold(
    *,
    root: Path,
    submission: Path,
    rules: Loaded,
    data: Dataset,
    outputs: Path | None,
    here: Circumstances,
    listener: Listener,
    passed_env: Mapping[str, str],
    most: Level,
    survey: Survey,
) -> Session:
    """Go through one session below `root`; `rules` and `data` are a trial's.

    Raises what Run.create and conduct raise.
    """
    run = Run.create(
        root=root, submission=submission, rules=rules, data=data, seeds=(SEED,), baseline_text=None
    )
    conduct(
        run,
        listener,
        passed_env,
        most=most,
        survey=survey,
        untrained=Untrained(outputs=outputs),
    )
    report, evidence = verdict.report(run), run.evidence(SEED)
    # Evidence as each check gave it; a report has it by seed.
    single = {finding.id: finding for finding in report.seeds[0].findings}
    findings = tuple(
        doubted(
            single.get(finding.id, finding),
            here,
            artifact=evidence.artifact,
            challenge=evidence.examined.challenge if evidence.examined else None,
            cap_bytes=run.ruleset.bytes.cap_bytes,
        )
        for finding in report.findings
        if finding.id not in NOT_JUDGED
    )
    return Session(
        run=run,
        report=report,
        evidence=evidence,
        findings=findings,
        tried=_tried(evidence, report, given=outputs is not None),
    )


def keep_report(session: Session) -> None:
    """Write the session's report beside what it was made of, as a run's.

    Raises JudgeError where that is not possible.
    """
    from harness.report.html_page import render_html

    folder = session.run.folder
    with writing(folder):
        write_atomically(folder / "report.json", encode(session.report))
        write_atomically(folder / "report.html", render_html(session.report).encode())


def _tried(evidence: SeedEvidence, report: Report, *, given: bool) -> Tried:
    reached, why_not = "", ""
    for phase, problem in _steps(evidence, given=given):
        if problem:
            why_not = problem
            break
        reached = phase
    seed = report.seeds[0]
    return Tried(
        reached=reached,
        why_not=why_not,
        weights="given" if given else "untrained",
        tokens=seed.tokens,
        questions=sum(seed.challenges.values()),
    )


def _steps(evidence: SeedEvidence, *, given: bool) -> list[tuple[str, str]]:
    """Return (step, why it did not end as it should, or ""), up to the first that did not."""
    trained, artifact, scored = evidence.trained, evidence.artifact, evidence.scored
    steps = [("setup", _ended(trained.setup if trained else None))]
    if not given:
        problem = _ended(trained.train if trained else None)
        steps.append(("train", f"no untrained artifact: {problem}; {_HONOUR}" if problem else ""))
    refused = "" if artifact is None else "; ".join(artifact.refusals[:3])
    if refused and not given and only_absent(artifact):
        refused = f"no untrained artifact: {refused}; {_HONOUR}"
    elif refused:
        refused = f"refused at the seal: {refused}"
    steps.append(("seal", refused))
    steps.append(("load", _ended(scored.load if scored else None)))
    steps.append(("score", _ended(scored.score if scored else None)))
    steps.append(("challenge", _challenge(evidence)))
    return steps


_HONOUR = "leave one where `fresh` is asked for, or give what training left with --artifact"


def _ended(time: PhaseTime | None) -> str:
    if time is None:
        return "it was not reached"
    if time.outcome is Outcome.DONE:
        return ""
    return f"{time.phase}: {time.outcome}{f': {time.detail}' if time.detail else ''}"


def _challenge(evidence: SeedEvidence) -> str:
    examined = evidence.examined
    if examined is None or examined.challenge is None:
        return "no question was asked"
    if examined.challenge.breach is not None:
        return f"the challenge broke off: {examined.challenge.breach.message}"
    if examined.challenge.out_of_time:
        return f"the questions were not through after {examined.time.budget_s:g} s"
    return ""
