"""From evidence to findings, to one verdict, to the report. Nothing is measured here.

The same evidence gives the same verdict on any machine, at any time: `checks` are pure, and everything else
in a report is copied from what the run wrote.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from checks import (
    ORDER,
    bytes_artifact,
    repro_score,
    score_bytes,
    score_complete,
    stats_margin,
    time_phase,
)
from checks.contract import Credited, Finding, Outcome, PhaseTime, SeedScore, Status, worst
from harness import __version__, errors, machine
from harness.errors import JudgeError
from harness.examine import CHECKS, Examined
from harness.journal import events
from harness.report.model import (
    ArtifactFile,
    BaselineFacts,
    DataFacts,
    Report,
    SeedResult,
    SubmissionFacts,
    ruleset_facts,
)
from harness.run import Run, SeedEvidence
from harness.sandbox.guarantees import findings as sandbox_findings
from harness.worst import Quotes

CURVE_POINTS = 200
SCATTER_POINTS = 2000
AGAIN = "delete score.json and challenge.json beside it, and resume the run"
EXIT_CODES = {
    Status.PASS: errors.EXIT_PASS,
    Status.FAIL: errors.EXIT_RULE_BROKEN,
    Status.ERROR: errors.EXIT_JUDGE,
    Status.NOT_RUN: errors.EXIT_JUDGE,
}
"""Undecided is not a pass, and no rule is known to be broken: the judge could not conclude."""


def report(run: Run) -> Report:
    """Judge everything that a run has on disk."""
    evidence = [run.evidence(seed) for seed in run.plan.seeds]
    quotes = Quotes(run.data)
    seeds = [_seed(run, each, quotes) for each in evidence]
    hidden = all(each.trained is None or each.trained.data_hidden for each in evidence)
    held = run.guarantees(train_hidden=hidden)
    found = [*_over_seeds(seeds), *_whole_run(run, seeds)]
    found.sort(key=lambda finding: ORDER.index(finding.id))
    found += sandbox_findings(held)
    verdict, message = _conclude(found, run.ruleset.verdict.required, seeds)
    left = [e for e in evidence if e.unfinished]
    if left:
        message = (
            f"not finished ({len(left)} of {len(seeds)} seeds to do, --resume goes on): {message}"
        )
    if run.baseline is not None and not run.plan.own_baseline:
        message += f"; the baseline, {run.baseline.name}, was given for this run"
    nats = [s.nats_per_token for s in seeds if s.nats_per_token is not None]
    bits = [s.bits_per_byte for s in seeds if s.bits_per_byte is not None]
    happened = events(run.folder)
    return Report(
        harness_version=__version__,
        run_id=run.plan.run_id,
        created_utc=run.plan.created_utc,
        verdict=verdict,
        verdict_message=message,
        exit_code=EXIT_CODES[verdict],
        ruleset=ruleset_facts(run.ruleset, run.ruleset_sha256),
        submission=SubmissionFacts(
            name=run.manifest.name,
            authors=run.manifest.authors,
            summary=run.manifest.summary,
            digest=run.plan.snapshot.digest,
            files=run.plan.snapshot.files,
            size_bytes=run.plan.snapshot.size_bytes,
        ),
        data=_data_facts(run),
        baseline=_baseline_facts(run),
        machine=run.machine() or machine.describe(),
        guarantees=held,
        findings=tuple(found),
        required=run.ruleset.verdict.required,
        seeds=tuple(seeds),
        nats_per_token_mean=math.fsum(nats) / len(nats) if nats else None,
        bits_per_byte_mean=math.fsum(bits) / len(bits) if bits else None,
        challenge_seed={
            str(s.seed): s.challenge_seed for s in seeds if s.challenge_seed is not None
        },
        wall_s=sum(time.wall_s for s in seeds for time in s.phases),
        attempts=sum(event["event"] == "started" for event in happened),
    )


def _seed(run: Run, evidence: SeedEvidence, quotes: Quotes) -> SeedResult:
    scored, examined, artifact = evidence.scored, evidence.examined, evidence.artifact
    credited = scored.credited if scored else None
    whole = credited is not None and scored is not None and scored.score.outcome is Outcome.DONE
    text_bytes = run.text().text_bytes
    challenge = examined.challenge if examined else None
    return SeedResult(
        seed=evidence.seed,
        nats_per_token=credited.sum_nats / credited.expected_tokens if whole and credited else None,
        bits_per_byte=(
            credited.sum_nats / math.log(2.0) / text_bytes if whole and credited else None
        ),
        tokens=credited.credited_tokens if credited else 0,
        bytes=text_bytes,
        artifact_bytes=artifact.total_bytes if artifact else None,
        artifact_digest=artifact.digest if artifact else None,
        artifact_files=tuple(
            ArtifactFile(path=f.path, size_bytes=f.size_bytes, sha256=f.sha256, origin=f.origin)
            for f in (artifact.files if artifact else ())
        ),
        phases=tuple(_phases(run, evidence)),
        challenge_seed=examined.secret if examined else None,
        challenges=(
            {}
            if challenge is None
            else {
                kind: len(getattr(challenge, kind))
                for kind in ("blind", "future", "target", "repeat")
            }
        ),
        curve=_curve(evidence, credited) if whole and credited else (),
        blind=tuple(
            (answer.credited_nats, answer.blind_nats)
            for answer in (challenge.blind if challenge else ())
            if answer.blind_nats is not None
        )[:SCATTER_POINTS],
        worst=quotes.worst(challenge, run.ruleset.tolerances()),
        findings=tuple(_seed_findings(run, evidence)),
    )


def _phases(run: Run, evidence: SeedEvidence) -> list[PhaseTime]:
    """Return every phase of a seed; one that was never reached is "not started"."""
    trained, scored, examined = evidence.trained, evidence.scored, evidence.examined
    measured = {
        "setup": trained.setup if trained else None,
        "train": trained.train if trained else None,
        "load": scored.load if scored else None,
        "score": scored.score if scored else None,
        "challenge": examined.time if examined else None,
    }
    budgets = run.ruleset.phases
    return [
        time
        or PhaseTime(
            phase=phase,
            budget_s=getattr(budgets, f"{phase}_s"),
            grace_s=0.0,
            wall_s=0.0,
            outcome=Outcome.NOT_STARTED,
        )
        for phase, time in measured.items()
    ]


def _seed_findings(run: Run, evidence: SeedEvidence) -> list[Finding]:
    limits = run.ruleset.tolerances()
    examined: Examined | None = evidence.examined
    challenge = examined.challenge if examined else None
    controls = examined.controls if examined else {}
    times = [time for time in _phases(run, evidence) if time.phase != "challenge"]
    return [
        *(time_phase.check(time) for time in times),
        bytes_artifact.check(evidence.artifact, run.ruleset.bytes.cap_bytes),
        score_complete.check(evidence.scored.credited if evidence.scored else None),
        *(check(challenge, controls.get(name), limits) for name, check in CHECKS.items()),
        repro_score.check(challenge, limits),
    ]


def _over_seeds(seeds: Sequence[SeedResult]) -> list[Finding]:
    """Return one finding a check: that of the seed that decides, which the message names."""
    ids = dict.fromkeys(finding.id for seed in seeds for finding in seed.findings)
    return [_combined(check, seeds) for check in ids]


def _combined(check: str, seeds: Sequence[SeedResult]) -> Finding:
    each = [(s.seed, finding) for s in seeds for finding in s.findings if finding.id == check]
    status = worst([finding.status for _, finding in each])
    deciding = [(seed, finding) for seed, finding in each if finding.status is status]
    seed, finding = max(deciding, key=lambda entry: entry[1].measured or 0.0)
    message = finding.message
    if len(each) > 1:
        share = f", {len(deciding)} of {len(each)} seeds" if status is not Status.PASS else ""
        message = f"{message} (seed {seed}{share})"
    by_seed = {
        str(number): {"status": str(other.status), "measured": other.measured, **other.evidence}
        for number, other in each
    }
    return replace(finding, message=message, evidence={"seeds": by_seed})


def _whole_run(run: Run, seeds: Sequence[SeedResult]) -> list[Finding]:
    text = run.text()
    scores = [
        SeedScore(
            seed=seed.seed,
            sum_nats=seed.nats_per_token * seed.tokens,
            tokens=seed.tokens,
            text_bytes=seed.bytes,
        )
        for seed in seeds
        if seed.nats_per_token is not None
    ]
    return [
        score_bytes.check(text, run.ruleset.bytes.normalisation),
        stats_margin.check(
            scores,
            run.baseline.record() if run.baseline else None,
            run.ruleset.margin(),
            text_sha256=run.data.val.text_sha256,
        ),
    ]


def _conclude(
    found: Sequence[Finding], required: Sequence[str], seeds: Sequence[SeedResult]
) -> tuple[Status, str]:
    """Return the verdict and one sentence: every required check must be there and PASS."""
    by_id = {finding.id: finding for finding in found}
    needed = [*required, *(f.id for f in found if f.id.startswith("sandbox."))]
    states = {check: by_id[check].status if check in by_id else Status.NOT_RUN for check in needed}
    verdict = worst(list(states.values()))
    count = f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''}"
    deciding = ", ".join(check for check, state in states.items() if state is verdict)
    passed = sum(state is Status.PASS for state in states.values())
    return verdict, {
        Status.PASS: f"all {len(states)} required checks hold over {count}",
        Status.FAIL: f"broken: {deciding}",
        Status.ERROR: f"the judge could not tell: {deciding}; no check failed",
        Status.NOT_RUN: (
            f"undecided: {deciding} could not be judged; of the others {passed} passed over {count}"
            if passed < 2
            else f"undecided: {deciding} could not be judged; "
            f"the other {passed} required checks passed over {count}"
        ),
    }[verdict]


def _curve(evidence: SeedEvidence, credited: Credited) -> tuple[tuple[int, float], ...]:
    """Return the credited loss by stretches of the stream.

    Raises JudgeError where the nats on disk are not those that were credited.
    """
    try:
        nats_N = np.memmap(evidence.nats, dtype="<f8", mode="r")
    except OSError as error:
        raise JudgeError(f"{evidence.nats}: {error.strerror}; {AGAIN}") from None
    except ValueError:
        raise JudgeError(f"{evidence.nats}: not a file of float64 numbers; {AGAIN}") from None
    edges = np.linspace(0, len(nats_N), min(CURVE_POINTS, len(nats_N)) + 1).astype(int)
    stretches = list(itertools.pairwise(edges))
    sums = [float(nats_N[start:end].sum()) for start, end in stretches]
    agree = math.isclose(math.fsum(sums), credited.sum_nats, rel_tol=1e-9, abs_tol=1e-9)
    if len(nats_N) != credited.credited_tokens or not agree:
        raise JudgeError(f"{evidence.nats}: not the nats that were credited; {AGAIN}")
    return tuple(
        (int(end), total / int(end - start))
        for (start, end), total in zip(stretches, sums, strict=True)
    )


def _data_facts(run: Run) -> DataFacts:
    data, named = run.data, run.ruleset.data
    tokenizer = data.tokenizer.sha256 if data.tokenizer else None
    return DataFacts(
        name=data.name,
        folder=Path(run.plan.data_folder).name,
        vocab_size=data.vocab_size,
        tokenizer_sha256=tokenizer,
        train_tokens=data.train.tokens,
        train_text_bytes=data.train.text_bytes,
        train_sha256=data.train.sha256,
        val_tokens=data.val.tokens,
        val_text_bytes=run.text().text_bytes,
        val_sha256=data.val.sha256,
        val_text_sha256=data.val.text_sha256,
        own=bool(named.val_text_sha256) and named.val_text_sha256 == data.val.text_sha256,
    )


def _baseline_facts(run: Run) -> BaselineFacts | None:
    if run.baseline is None or run.baseline_text is None:
        return None
    return BaselineFacts(
        name=run.baseline.name,
        date=run.baseline.date,
        source=run.baseline.source,
        sha256=hashlib.sha256(run.baseline_text.encode()).hexdigest(),
        seeds=run.baseline.seeds,
        nats_per_token=run.baseline.nats_per_token,
        bytes_per_token=run.baseline.bytes_per_token,
    )
