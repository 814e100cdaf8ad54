"""Whole reports to render: a run that passes, one that fails with hostile words, two that decide nothing.

Every number is made up but of the size that real runs have; a seeded generator draws the clouds of points.
"""

from __future__ import annotations

import math
import random

import msgspec

from checks.contract import Finding, Outcome, PhaseTime, Status
from harness.report.model import (
    ArtifactFile,
    BaselineFacts,
    DataFacts,
    Guarantee,
    Machine,
    Report,
    RulesetFacts,
    SeedResult,
    SubmissionFacts,
    WorstPosition,
)
from tests.harness.report.sample_findings import BYTES, PR1019, TOKENS, of_run, of_seed

REQUIRED = (
    "time.setup",
    "time.train",
    "time.load",
    "time.score",
    "bytes.artifact",
    "score.complete",
    "score.bytes",
    "order.future",
    "order.blind",
    "norm.sum",
    "norm.target",
    "repro.score",
    "stats.margin",
)
HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "::error file=x::forged",
    "##[error]forged ##vso[task.complete]",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200fmark",
    "[bold red]markup[/bold red] :boom:",
    '" onload="alert(1)" x="',
    "javascript:alert(1) https://evil.example/x.js",
    "line one\r\nPASS everything\x00\u2028",
    "e" + "\u0301" * 60,
    "\ud800 lone",
    "&lt;b&gt; ' ` <!-- ]]> -->",
)


def passing() -> Report:
    seeds = tuple(
        _seed(number, nats) for number, nats in ((1337, 1.869127), (42, 1.868391), (2025, 1.870043))
    )
    return Report(
        harness_version="0.1.0",
        run_id="20261123-061542-7f3a",
        created_utc="2026-11-23T06:15:42Z",
        verdict=Status.PASS,
        verdict_message="all 13 required checks hold over 3 seeds",
        exit_code=0,
        ruleset=RulesetFacts(
            name="parameter-golf",
            version="1",
            title="Parameter golf, the README as written",
            sha256="3f" * 32,
        ),
        submission=SubmissionFacts(
            name="tilted-transformer",
            authors=("Ada Example", "Łukasz Ünïcode"),
            summary="Eleven layers, 6-bit weights, a legal n-gram tilt.",
            digest="a7" * 32,
            files=9,
            size_bytes=81_220,
        ),
        data=_data(),
        baseline=BaselineFacts(
            name="pr1019",
            date="2026-03-30",
            source="openai/parameter-golf#1019",
            sha256="be" * 32,
            seeds=(314, 42, 999),
            nats_per_token=PR1019,
            bytes_per_token=BYTES / TOKENS,
        ),
        machine=_machine(),
        guarantees=_guarantees(),
        findings=of_run(seeds),
        required=REQUIRED,
        seeds=seeds,
        nats_per_token_mean=1.869187,
        bits_per_byte_mean=0.723601,
        challenge_seed={str(seed.seed): f"{seed.seed:064x}" for seed in seeds},
        wall_s=4_391.7,
        attempts=1,
    )


def failing() -> Report:
    """Several checks fail, and every string that a submission words is hostile."""
    report = passing()
    findings = []
    for index, found in enumerate(report.findings):
        if found.id in ("bytes.artifact", "order.blind", "norm.target", "score.complete"):
            findings.append(_broken(found, HOSTILE[index % len(HOSTILE)]))
        else:
            findings.append(found)
    findings.append(_advisory())
    first = report.seeds[0]
    files = tuple(
        ArtifactFile(path=text, size_bytes=1_000_000 + index, sha256="0" * 64, origin=text[:20])
        for index, text in enumerate(HOSTILE)
    )
    phases = (*first.phases[:-1], _time(HOSTILE[2], 60, 12.5, Outcome.BREACH, HOSTILE[0]))
    seeds = (
        msgspec.structs.replace(
            first,
            artifact_files=files,
            phases=phases,
            findings=tuple(findings),
            nats_per_token=0.31,
            worst=(_hostile_position(), *first.worst[:3]),
        ),
        *report.seeds[1:],
    )
    return msgspec.structs.replace(
        report,
        verdict=Status.FAIL,
        exit_code=1,
        verdict_message="broken: bytes.artifact, score.complete, order.blind, norm.target; "
        + HOSTILE[0],
        run_id=HOSTILE[6],
        created_utc=HOSTILE[4],
        ruleset=msgspec.structs.replace(report.ruleset, name=HOSTILE[5], title=HOSTILE[0]),
        submission=SubmissionFacts(
            name="x" * 4096 + HOSTILE[0],
            authors=HOSTILE,
            summary="".join(HOSTILE),
            digest=HOSTILE[1],
            files=2,
            size_bytes=10**19,
        ),
        data=msgspec.structs.replace(report.data, name=HOSTILE[3], folder=HOSTILE[8]),
        machine=msgspec.structs.replace(
            report.machine, gpus=HOSTILE, packages={text: text for text in HOSTILE}
        ),
        guarantees=tuple(
            Guarantee(name=text, state="not enforced", means=text, required=index % 2 == 0)
            for index, text in enumerate(HOSTILE)
        ),
        findings=tuple(findings),
        seeds=seeds,
        challenge_seed={text: text for text in HOSTILE},
    )


def undecided() -> Report:
    """No baseline: everything else passed, and there is nothing to compare with."""
    report = passing()
    margin = Finding(
        id="stats.margin",
        status=Status.NOT_RUN,
        message="no baseline to compare with",
        limit=0.01,
        unit="p",
        evidence={"nats_per_token": [seed.nats_per_token for seed in report.seeds]},
    )
    return msgspec.structs.replace(
        report,
        verdict=Status.NOT_RUN,
        verdict_message="undecided: stats.margin could not be judged; the other 12 required checks passed",
        exit_code=3,
        baseline=None,
        findings=(*report.findings[:-1], margin),
    )


def died() -> Report:
    """The only seed was killed in training: almost everything is null."""
    report = passing()
    phases = (
        _time("setup", 60, 8.31),
        _time("train", 600, 600.01, Outcome.DEADLINE, "still running at the deadline"),
        *(_time(name, 600, 0.0, Outcome.NOT_STARTED) for name in ("load", "score", "challenge")),
    )
    seed = SeedResult(
        seed=1,
        nats_per_token=None,
        bits_per_byte=None,
        tokens=0,
        bytes=BYTES,
        artifact_bytes=None,
        artifact_digest=None,
        artifact_files=(),
        phases=phases,
        challenge_seed=None,
        challenges={},
    )
    findings = [
        Finding(id=name, status=Status.NOT_RUN, message="an earlier phase failed")
        for name in REQUIRED
    ]
    findings[0] = report.findings[0]
    findings[1] = Finding(
        id="time.train",
        status=Status.FAIL,
        message="train took 600.010 s of 600 s, 10 ms over; the clock ended it: still running",
        measured=600.01,
        limit=600.0,
        unit="s",
    )
    return msgspec.structs.replace(
        report,
        verdict=Status.FAIL,
        verdict_message="broken: time.train",
        exit_code=1,
        findings=tuple(findings),
        seeds=(seed,),
        nats_per_token_mean=None,
        bits_per_byte_mean=None,
        challenge_seed={},
        wall_s=611.4,
        attempts=2,
    )


def empty() -> Report:
    """A report with nothing in it: no seeds, no findings, no guarantees."""
    return msgspec.structs.replace(
        died(),
        verdict=Status.ERROR,
        verdict_message="",
        exit_code=3,
        findings=(),
        seeds=(),
        guarantees=(),
        required=(),
        baseline=None,
    )


ALL = (passing, failing, undecided, died, empty)


def _seed(number: int, nats: float) -> SeedResult:
    draw = random.Random(number)
    credited = [min(draw.expovariate(1 / nats), 14.0) for _ in range(256)]
    blind = tuple((value, max(0.0, value + draw.gauss(0, 0.001))) for value in credited)
    curve = tuple(
        (step * TOKENS // 120, nats + 0.35 * math.exp(-step / 18) + draw.gauss(0, 0.02) - 0.02)
        for step in range(1, 121)
    )
    files = (
        ArtifactFile(
            path="weights.bin", size_bytes=15_671_204 + number, sha256="1a" * 32, origin="output"
        ),
        ArtifactFile(path="model.py", size_bytes=31_874, sha256="2b" * 32, origin="code"),
        ArtifactFile(path="score.py", size_bytes=12_201, sha256="3c" * 32, origin="code"),
        ArtifactFile(path="tokenizer.model", size_bytes=201_342, sha256="4d" * 32, origin="code"),
    )
    return SeedResult(
        seed=number,
        nats_per_token=nats,
        bits_per_byte=nats * TOKENS / BYTES / math.log(2),
        tokens=TOKENS,
        bytes=BYTES,
        artifact_bytes=sum(file.size_bytes for file in files),
        artifact_digest="5e" * 32,
        artifact_files=files,
        phases=(
            _time("setup", 120, 41.7 + number % 7),
            _time("train", 600, 587.4 + number % 5),
            _time("seal", 60, 0.8),
            _time("load", 120, 22.3),
            _time("score", 600, 501.9 + number % 11),
            _time("challenge", 300, 118.4),
        ),
        challenge_seed=f"{number:064x}",
        challenges={"blind": 256, "future": 8, "target": 24, "repeat": 4},
        curve=curve,
        blind=blind,
        worst=tuple(_position(number, rank) for rank in range(12)),
        findings=of_seed(number, sum(file.size_bytes for file in files)),
    )


_TEXT = (
    "<s>", "The", " quick", " br", "own", " fo", "x", " jumps", ",", "  ", "\n", "<0xE2>", "<0x96>", " over",
    " the", " lazy", " dog", ".", " caf", "é", " 漢", "字", " and", " so", " on",
)  # fmt: skip


def _position(seed: int, rank: int) -> WorstPosition:
    """A position of the curves above: its gap shrinks with the rank, and now and then changes its sign."""
    here = 12 if rank != 3 else 2
    tokens = tuple(range(100 + rank, 100 + rank + here + 5))
    gap = (0.0042 - 0.0003 * rank) * (-1) ** (rank % 3)
    credited = 1.5 + rank * 0.7 + seed % 5
    return WorstPosition(
        position=31_402_118 - 1_000 * rank if rank != 3 else 2,
        question=("blind", "blind", "future", "target")[rank % 4],
        token=tokens[here] if rank % 4 != 3 else 4_071,
        piece=_TEXT[(rank + here) % len(_TEXT)],
        credited_nats=credited,
        answered_nats=credited + gap,
        gap_nats=gap,
        first=31_402_118 - 1_000 * rank - here if rank != 3 else 0,
        tokens=tokens,
        pieces=tuple(_TEXT[(rank + index) % len(_TEXT)] for index in range(len(tokens))),
    )


def _hostile_position() -> WorstPosition:
    """The text around a position tries to get out, and what was credited was answered with probability 0."""
    return WorstPosition(
        position=len(HOSTILE) // 2,
        question="blind",
        token=8_191,
        piece="\u202e<mark>" + "w" * 400,
        credited_nats=0.0001,
        answered_nats=None,
        gap_nats=None,
        first=0,
        tokens=tuple(range(len(HOSTILE))),
        pieces=HOSTILE,
    )


def _broken(found: Finding, words: str) -> Finding:
    return Finding(
        id=found.id,
        status=Status.FAIL,
        message=f"position 31,402,118 (after 240 frames): {words} {'long ' * 300}",
        measured=None if found.measured is None else found.measured * 9,
        limit=found.limit,
        unit=found.unit,
        evidence={
            **found.evidence,
            words: words,
            "listed": [words] * 40,
            "nested": {"a": {"b": {"c": {"d": {"e": {"f": {"g": words}}}}}}},
        },
        power={words: words, "challenges": 256},
    )


def _advisory() -> Finding:
    return Finding(
        id="source.scan",
        status=Status.NOT_RUN,
        message=HOSTILE[1] + HOSTILE[0],
        unit=HOSTILE[0],
        measured=1.0,
        evidence={"files": [{HOSTILE[7]: HOSTILE[7]}]},
    )


def _time(
    phase: str, budget_s: float, wall_s: float, outcome: Outcome = Outcome.DONE, detail: str = ""
) -> PhaseTime:
    return PhaseTime(
        phase=phase,
        budget_s=float(budget_s),
        grace_s=0.0,
        wall_s=wall_s,
        outcome=outcome,
        detail=detail,
        peak_rss_mb=4_821.5,
    )


def _data() -> DataFacts:
    return DataFacts(
        name="fineweb-sp8192",
        folder="fineweb10B_sp8192",
        vocab_size=8192,
        tokenizer_sha256="6f" * 32,
        train_tokens=10_000_000_000,
        train_text_bytes=37_267_000_000,
        train_sha256="70" * 32,
        val_tokens=TOKENS,
        val_text_bytes=BYTES,
        val_sha256="81" * 32,
        val_text_sha256="92" * 32,
        own=True,
    )


def _machine() -> Machine:
    return Machine(
        system="Linux 6.8 x86_64",
        cpu="Xeon Platinum 8481C",
        cores=208,
        memory_gb=1_800.0,
        gpus=("H100 80GB HBM3",) * 8,
        python="3.12.4",
        packages={"torch": "2.13.0", "numpy": "2.4.6", "brotli": "1.2.1"},
    )


def _guarantees() -> tuple[Guarantee, ...]:
    return (
        Guarantee(
            name="tree-dies",
            state="enforced",
            means="at a deadline every process of the phase is killed, double forks included",
            required=True,
        ),
        Guarantee(
            name="no-network",
            state="not enforced",
            means="the phases reach no network",
            required=False,
        ),
        Guarantee(
            name="fresh-home",
            state="enforced",
            means="each phase starts with an empty home and temporary folder",
            required=False,
        ),
        Guarantee(
            name="memory",
            state="watched",
            means="the largest resident set is recorded; nothing is limited",
            required=False,
        ),
    )
