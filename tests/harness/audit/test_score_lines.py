"""Lines that state a score, and those that only seem to."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.published import Score
from harness.audit.score_lines import scores_of

WORDS = st.text(string.ascii_lowercase + "_", min_size=2, max_size=10).filter(
    lambda word: (
        not word.startswith(("step", "ttp", "tttg", "chunk", "epoch", "batch", "iter", "warmup"))
        and not word.startswith(("running", "val_progress", "ttt_chunk", "ttt_progress"))
        and word
        not in ("target", "goal", "sota", "claim", "expected", "bpb", "vl", "progress", "elapsed")
        and not word.endswith(("bpb", "loss", "_x", "_exact", "time"))
        and word.strip("_") == word
    )
)
NUMBERS = st.integers(1, 8).flatmap(
    lambda digits: st.integers(10**digits // 2, 10 ** (digits + 1)).map(
        lambda n: f"{n / 10**digits:.{digits}f}"
    )
)
SPACES = st.sampled_from(["", " ", "  "])
SIGNS = st.sampled_from([":", "="])


def stated(line: str) -> list[tuple[str, float | None, float, float | None, bool]]:
    return [
        (s.name, s.val_loss, s.val_bpb, s.eval_ms, s.validation)
        for s in scores_of(line.lower(), "f.log", 3)
    ]


@given(line=st.text(max_size=200) | st.text("bpb val_loss:=.0123456789|{}\"'()-e,%", max_size=120))
def test_any_line_states_finite_scores_or_none(line: str) -> None:
    for score in scores_of(line.lower(), "f.log", 3):
        assert 0 < score.val_bpb < math.inf
        assert score.val_loss is None or math.isfinite(score.val_loss)
        assert score.place == "f.log:3"
        assert len(score.name) <= len(line) + 4


@given(
    name=WORDS,
    loss=NUMBERS,
    bpb=NUMBERS,
    sign=SIGNS,
    spaces=st.lists(SPACES, min_size=4, max_size=4),
    between=st.sampled_from([" ", ", ", " | ", "  "]),
    order=st.booleans(),
    keys=st.sampled_from(
        [("val_loss", "val_bpb"), ("Val Loss", "Val BPB"), ("val/loss", "val/bpb")]
    ),
    seconds=st.none() | st.integers(1, 900_000),
    quote=st.sampled_from(["", '"', "'"]),
)
def test_a_line_in_any_style_reads_back(
    name: str,
    loss: str,
    bpb: str,
    sign: str,
    spaces: list[str],
    between: str,
    order: bool,
    keys: tuple[str, str],
    seconds: int | None,
    quote: str,
) -> None:
    a, b, c, d = spaces
    parts = [
        f"{quote}{keys[0]}{quote}{a}{sign}{b}{loss}",
        f"{quote}{keys[1]}{quote}{c}{sign}{d}{bpb}",
    ]
    if not order:
        parts.reverse()
    took = "" if seconds is None else f" eval_time:{seconds}ms"
    found = stated(f"{name} {between.join(parts)}{took}")
    assert found == [(name, float(loss), float(bpb), seconds, False)]
    score = scores_of(f"{name} {between.join(parts)}".lower(), "f", 1)[0]
    assert (score.loss_digits, score.bpb_digits) == (
        len(loss.partition(".")[2]),
        len(bpb.partition(".")[2]),
    )


@pytest.mark.parametrize(
    ("line", "name", "bpb"),
    [
        ("final val_bpb = 1.0812", "final val_bpb", 1.0812),
        ("Final BPB (int6, sliding): 1.0791", "final bpb (int6, sliding)", 1.0791),
        ("val bpb 1.0812", "val bpb", 1.0812),
        ("| val_bpb | 1.0812 |", "val_bpb", 1.0812),
        ("**val_bpb**: **1.0812**", "val_bpb", 1.0812),
        ("val_bpb: tensor(1.0812)", "val_bpb", 1.0812),
        ("val_bpb=1.0812bpb", "val_bpb", 1.0812),
        ("val_bpb=1.0812±0.0003", "val_bpb", 1.0812),
        ("bits per byte: 1.0812", "bits per byte", 1.0812),
        ("sliding: bits/byte = 1.0812", "sliding bits/byte", 1.0812),
        ("final sliding: 1.0812 BPB", "final sliding", 1.0812),
        ("val_bpb: 1.0812e0", "val_bpb", 1.0812),
        ("final_exact val_bpb: 1.08123456", "final val_bpb", 1.08123456),
    ],
)
def test_each_kind_of_line_states_its_score(line: str, name: str, bpb: float) -> None:
    assert stated(line) == [(name, None, bpb, None, False)]


@pytest.mark.parametrize(
    "line",
    [
        "# val_bpb: 1.08",
        "target val_bpb: 1.05",
        "SOTA val_bpb=1.05, ours follows",
        "target_bpb: 1.05",
        "claimed: 1.0812 bpb",
        "val_bpb: 1.0912 -> 1.0812",
        "bpb 1.0912 → 1.0812",
        "val_bpb:1.08%",
        "val_bpb: nan",
        "val_bpb: inf",
        "val_bpb: 1e999",
        "val_bpb: -0.0012",
        "val_bpb: 0.0",
        "val_bpb: 1,0812",
        "val_bpb: 1.08.12",
        "bpb 3 runs",
        "a gain of 0.0123 bpb over the last",
        "was 1.0912 bpb => 1.0812 bpb",
        "tttg: c1/9 bpb:1.08",
        "chunk [12/1893] bpb=1.150076 time=268.5s",
        "step 100 bpb: 1.2 best_bpb: 1.1",
        "val_bpb:",
        "",
    ],
)
def test_lines_that_only_mention_one_state_none(line: str) -> None:
    assert stated(line) == []


@pytest.mark.parametrize(
    "line",
    ["step:100/2000 val_loss:1.8 val_bpb:1.1", "step 100 | val loss 1.80 | val bpb 1.10",
     '{"step": 100, "val_loss": 1.8, "val_bpb": 1.1}', "[100/200] val_loss: 1.8 val_bpb: 1.1"],
)  # fmt: skip
def test_a_line_from_the_middle_of_training_is_no_score_of_an_artifact(line: str) -> None:
    assert [found[1:] for found in stated(line)] == [(1.8, 1.1, None, True)]


def test_each_score_of_a_line_has_its_own_name_and_loss() -> None:
    assert stated(
        "mix val_loss:2.0 bpb:1.0 nn_bpb:1.2 val_loss:1.5 ppm_bpb:1.3 eval_time: 2.5s"
    ) == [
        ("mix bpb", 2.0, 1.0, 2500.0, False),
        ("mix nn_bpb", None, 1.2, 2500.0, False),
        ("mix ppm_bpb", 1.5, 1.3, 2500.0, False),
    ]
    assert [found[1:3] for found in stated("bpb:1.0 val_loss:2.0 q_bpb:1.2 val_loss:1.5")] == [
        (2.0, 1.0),
        (1.5, 1.2),
    ]


def test_a_quoted_score_hides_no_own_one() -> None:
    assert [found[2] for found in stated("final val_bpb: 1.0812 (target val_bpb: 1.05)")] == [
        1.0812
    ]
    assert [found[2] for found in stated("final val_bpb: 1.0812, target_bpb: 1.05")] == [1.0812]
    assert [found[2] for found in stated("val_bpb: 1.0812, below the threshold")] == [1.0812]


def test_the_time_of_an_evaluation_goes_before_others() -> None:
    assert stated("val_bpb:1.08 t:3.5s")[0][3] == 3500
    assert stated("val_bpb:1.08 eval_time:2000ms elapsed: 700s")[0][3] == 2000
    assert stated("val_bpb:1.08 time: 12")[0][3] is None
    assert stated("val_bpb:1.08 t:5 s:100")[0][3] is None  # seconds of nothing: "s" is a key


def test_the_text_that_was_scored_is_counted() -> None:
    score: Score = scores_of("ppm_mix bytes=151080891 mix_bpb=0.9", "f", 1)[0]
    assert (score.text_bytes, score.val_bpb) == (151080891, 0.9)


@pytest.mark.parametrize(
    ("shown", "took"),
    [
        ("900,000ms", 900_000.0),
        ("1,900,000.5 ms", 1_900_000.5),
        ("90,0000ms", None),
        ("590,123s", None),  # a decimal comma, maybe
    ],
)
def test_thousands_of_milliseconds_are_read(shown: str, took: float | None) -> None:
    line = f"final val_loss:1.8012 val_bpb:1.0812 eval_time:{shown}"
    assert stated(line) == [("final", 1.8012, 1.0812, took, False)]


@pytest.mark.parametrize(("shown", "digits"), [("1.0812", 4), ("10812e-4", 4), ("1.0812e+0", 4)])
def test_decimals_are_those_of_the_number(shown: str, digits: int) -> None:
    (score,) = scores_of(f"final val_bpb:{shown}", "f.log", 1)
    assert (score.val_bpb, score.bpb_digits) == (1.0812, digits)
