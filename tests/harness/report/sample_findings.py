"""The findings of the sample reports: those of one seed, and those of a whole run."""

from __future__ import annotations

from checks import stats_margin
from checks.contract import Baseline, Finding, Margin, SeedScore, Status
from harness.report.model import SeedResult

CAP_BYTES = 16_000_000
TOKENS, BYTES = 40_540_160, 151_080_891
PR1019 = (1.88276292, 1.88156874, 1.88220393)


def of_seed(number: int, total: int) -> tuple[Finding, ...]:
    took = {"setup": 41.7 + number % 7, "train": 587.4 + number % 5, "load": 22.3}
    took["score"] = 501.9 + number % 11
    limits = {"setup": 120.0, "train": 600.0, "load": 120.0, "score": 600.0}
    times = [
        Finding(
            id=f"time.{phase}",
            status=Status.PASS,
            message=f"{phase} took {seconds:.3f} s of {limits[phase]:g} s",
            measured=seconds,
            limit=limits[phase],
            unit="s",
            evidence={"outcome": "done", "grace_s": 0.0, "excess_s": 0.0, "peak_rss_mb": 4_821.5},
        )
        for phase, seconds in took.items()
    ]
    return (*times, *_judged(total))


def _judged(total: int) -> tuple[Finding, ...]:
    power = {"smallest_tainted_fraction": 0.018, "confidence": 0.99, "challenges": 256}
    return (
        Finding(
            id="bytes.artifact",
            status=Status.PASS,
            message=f"{total:,} bytes in 4 files, {CAP_BYTES - total:,} below the cap of {CAP_BYTES:,}",
            measured=total,
            limit=CAP_BYTES,
            unit="bytes",
            evidence={"tokenizer_bytes": 0, "refusals": [], "digest": "5e" * 32},
        ),
        Finding(
            id="score.complete",
            status=Status.PASS,
            message=f"all {TOKENS:,} positions credited once, in order",
            measured=TOKENS,
            limit=TOKENS,
            unit="tokens",
        ),
        Finding(
            id="score.bytes",
            status=Status.PASS,
            message=f"50,000 documents decode to the text, {BYTES:,} bytes",
            measured=BYTES,
            limit=BYTES,
            unit="bytes",
        ),
        Finding(
            id="order.future",
            status=Status.PASS,
            message="8 blocks answered as credited after every later token was exchanged",
            measured=0.0011,
            limit=0.02,
            unit="nats",
            evidence={"tolerance_nats": 0.02, "span_fraction": 0.998, "answers": 8},
        ),
        Finding(
            id="order.blind",
            status=Status.PASS,
            message="gain from what it must not see is at most 0.00021 nats/token (99% bound)",
            measured=0.00021,
            limit=0.001,
            unit="nats/token",
            evidence={
                "gain_mean_nats_per_token": 0.00003,
                "gain_lower_nats_per_token": -0.00015,
                "gain_upper_nats_per_token": 0.00021,
                "gain_limit_nats_per_token": 0.001,
                "tolerance_nats": 0.02,
                "span_fraction": 0.998,
                "worst": [
                    {"position": 31_402_118, "gap_nats": 0.0042},
                    {"position": 1_204, "gap_nats": -0.0031},
                    {"position": 88_001, "gap_nats": 0.0029},
                ],
            },
            power=power,
        ),
        Finding(
            id="norm.sum",
            status=Status.PASS,
            message="256 rows sum to 1 within 0.0000041",
            measured=4.1e-6,
            limit=1e-3,
            unit="",
        ),
        Finding(
            id="norm.target",
            status=Status.PASS,
            message="24 substituted targets agree with their rows",
            measured=0.0009,
            limit=0.02,
            unit="nats",
            power=power,
        ),
        Finding(
            id="repro.score",
            status=Status.PASS,
            message="4 blocks scored again differ by at most 0.0007 nats",
            measured=0.0007,
            limit=0.25,
            unit="nats",
        ),
    )


def of_run(seeds: tuple[SeedResult, ...]) -> tuple[Finding, ...]:
    """Return the seeds' findings with a real stats.margin, whose evidence the renderers read."""
    scores = [
        SeedScore(seed=s.seed, sum_nats=s.nats_per_token * TOKENS, tokens=TOKENS, text_bytes=BYTES)
        for s in seeds
        if s.nats_per_token is not None
    ]
    baseline = Baseline(
        name="pr1019", nats_per_token=PR1019, seeds=(314, 42, 999), bytes_per_token=BYTES / TOKENS
    )
    margin = Margin(test="welch", margin_nats=0.005, margin_in_null=True, alpha=0.01, min_seeds=2)
    return (*seeds[0].findings, stats_margin.check(scores, baseline, margin, text_sha256=None))
