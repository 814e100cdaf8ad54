"""Each check has its page, and each message quoted there is one that the check gives."""

from pathlib import Path

import pytest

from checks import (
    ORDER,
    bytes_artifact,
    norm_sum,
    norm_target,
    order_blind,
    order_future,
    repro_score,
    score_bytes,
    score_complete,
    stats_margin,
    time_phase,
)
from checks.contract import (
    Artifact,
    Baseline,
    BlindAnswer,
    Breach,
    Challenge,
    CountedFile,
    Credited,
    FutureAnswer,
    Margin,
    Outcome,
    PhaseTime,
    RepeatAnswer,
    SeedScore,
    TargetAnswer,
    TextBytes,
    Tolerances,
)

PAGES = Path(__file__).parents[2] / "docs" / "rules"
HEADINGS = ("States", "Why", "How it is measured", "Example", "Does not catch", "Mending a FAIL")
LIMITS = Tolerances(
    floor_nats=0.02,
    cap_nats=0.25,
    repeat_factor=4.0,
    sum_tolerance=1e-3,
    gain_limit_nats=0.001,
    confidence=0.99,
    min_span=0.9,
    max_replay_ratio=2.0,
)


def timed(phase, wall_s, outcome, budget_s=60.0, detail=""):
    return time_phase.check(
        PhaseTime(
            phase=phase,
            budget_s=budget_s,
            grace_s=0.0,
            wall_s=wall_s,
            outcome=outcome,
            detail=detail,
        )
    )


def sealed(sizes, tokenizer_bytes=0, refusals=()):
    files = tuple(
        CountedFile(path=f"f{i}", size_bytes=size, sha256="", origin="output")
        for i, size in enumerate(sizes)
    )
    record = Artifact(files=files, tokenizer_bytes=tokenizer_bytes, refusals=refusals, digest="d")
    return bytes_artifact.check(record, 1_000)


def challenge(**answers):
    answers.setdefault("repeat", (repeated(1e-4, 7),))
    return Challenge(tokens=100_000, span_tokens=100_000, **answers)


def repeated(gap_nats, position):
    return RepeatAnswer(
        first=0,
        tokens=512,
        mean_gap_nats=0.0,
        max_abs_gap_nats=gap_nats,
        worst_position=position,
    )


def blind(peeking_at=()):
    """Return 256 answers with a little noise, and a gain of 0.29 nats at some of them."""
    return tuple(
        BlindAnswer(
            position=17 * i,
            credited_nats=2.0,
            blind_nats=2.0 + (37 * i % 101 - 50) * 2e-6 + 0.29 * (i in peeking_at),
            log_sum=0.0,
        )
        for i in range(256)
    )


def looks_ahead():
    answers = tuple(
        FutureAnswer(
            position=5000 + i,
            first=4608,
            gap_nats=0.0,
            worst_position=5000 + i,
            worst_credited_nats=1.8,
            worst_gap_nats=0.94 * (i == 3),
            mean_gap_nats=0.0,
        )
        for i in range(8)
    )
    return challenge(future=answers)


def class_gate():
    answer = TargetAnswer(
        position=9301,
        credited_nats=1.2,
        token=17,
        tokens=(17, 300, 5),
        nats=(1.2, 0.743, 3.0),
        row_nats=(1.2, 1.0317, 3.0),
        classes=(2, 3, 1),
        whole_vocabulary=False,
    )
    return challenge(target=(answer,))


def hashed():
    row = BlindAnswer(position=41877, credited_nats=1.0, blind_nats=1.0, log_sum=1.8718)
    return challenge(blind=(row,) * 256)


def sliding():
    seeds = [
        SeedScore(seed=i, sum_nats=nats * 1e6, tokens=1_000_000, text_bytes=2_435_920)
        for i, nats in enumerate((1.87595330, 1.87342257, 1.87626598))
    ]
    baseline = Baseline(
        name="PR #1019",
        nats_per_token=(1.88276292, 1.88156874, 1.88220393),
        seeds=(314, 42, 999),
        bytes_per_token=2.43592,
    )
    margin = Margin(test="welch", margin_nats=0.005, margin_in_null=True, alpha=0.01, min_seeds=3)
    return stats_margin.check(seeds, baseline, margin, text_sha256=None)


def examples():
    """Return a finding for every message that a page quotes."""
    leak, peek = challenge(blind=blind({12})), challenge(blind=blind())
    breach = Breach(
        kind="value",
        message="nan nats for the token at position 41007; nats are finite and 0 or more",
        frame=81,
        position=41007,
    )
    text = TextBytes(
        text_bytes=3_727_000,
        decoded_bytes=4_386_000,
        normalised_bytes=3_727_000,
        differing_documents=0,
        documents=10,
    )
    return [
        timed("setup", 1.5, Outcome.EXITED, detail="exit status 1 before `ready`"),
        timed("train", 601.153, Outcome.DONE, budget_s=600.0),
        timed("load", 3.21, Outcome.EXITED, detail="exit status 1"),
        timed("score", 60.004, Outcome.DEADLINE),
        timed("score", 3.2, Outcome.BREACH),
        sealed((5, 900, 70, 60), tokenizer_bytes=366_510),
        sealed((5,), refusals=("weights.bin is a symbolic link", "b", "c")),
        score_complete.check(
            Credited(expected_tokens=124_672, credited_tokens=40_960, sum_nats=1.0, breach=breach)
        ),
        score_bytes.check(text, "identity"),
        order_future.check(looks_ahead(), looks_ahead(), LIMITS),
        order_blind.check(leak, leak, LIMITS),
        order_blind.check(peek, leak, LIMITS),
        norm_sum.check(hashed(), hashed(), LIMITS),
        norm_target.check(class_gate(), class_gate(), LIMITS),
        repro_score.check(challenge(), LIMITS),
        repro_score.check(challenge(repeat=(repeated(0.411, 7713),)), LIMITS),
        sliding(),
    ]


def test_every_check_has_a_page_and_no_page_lacks_a_check():
    pages = {page.stem for page in PAGES.glob("*.md")}
    # Those are about published records and pull requests, and have tests of their own.
    others = ("claims.", "evidence.", "source.", "gate.", "submission.")
    mine = {page for page in pages if not page.startswith(others)}
    assert mine == {*ORDER, "README", "out-of-reach"}
    index = (PAGES / "README.md").read_text("utf-8")
    places = [index.index(f"[{check}]({check}.md)") for check in ORDER]
    assert places == sorted(places)


@pytest.mark.parametrize("check", ORDER)
def test_a_page_answers_the_same_six_questions(check):
    page = (PAGES / f"{check}.md").read_text("utf-8")
    assert page.startswith(f"# `{check}`\n")
    places = [page.index(f"\n**{heading}") for heading in HEADINGS]
    assert places == sorted(places)


def test_messages_on_the_pages_are_those_of_the_checks():
    given = {(finding.id, finding.message) for finding in examples()}
    quoted = {
        (check, line.strip())
        for check in ORDER
        for line in (PAGES / f"{check}.md").read_text("utf-8").splitlines()
        if line.startswith("    ")
    }
    assert quoted == given
