"""What the names of logged scores say, on names that trainers used."""

import pytest

from checks import score_names
from checks.published import Score


def score(name, *, validation=False):
    return Score(name, "a.log:1", 1.9, 1.1, None, validation=validation)


@pytest.mark.parametrize(
    ("name", "before", "final", "other"),
    [
        ("final_int6_sliding_window", False, True, False),
        ("quantized_ttt_phased", False, True, False),
        ("legal_ttt", False, True, False),
        ("final_int8_zlib_roundtrip", False, True, False),
        ("diagnostic quantized", False, True, True),
        ("diagnostic pre-quantization post-ema", True, False, True),
        ("diagnostic post_ema", True, False, True),
        ("final_pre-quantization ema", True, False, True),
        ("post-prequant-ttt", True, False, True),
        ("online_best_agree:done llm_bpb", False, False, True),
        ("online_best_agree:done gain_bpb", False, False, True),
        ("n-gram agreement bpb", False, False, False),
        ("val_bpb", False, False, False),
    ],
)
def test_names(name, before, final, other):
    assert score_names.is_before_quantising(name) is before
    assert score_names.is_final(score(name)) is final
    assert score_names.is_of_something_else(name) is other


def test_a_line_from_the_middle_of_training_is_no_final_score():
    assert not score_names.is_final(score("final_int6_roundtrip", validation=True))


def test_differences():
    assert score_names.is_a_difference("online_best_agree:done gain_bpb")
    assert score_names.is_a_difference("delta_bpb")
    assert not score_names.is_a_difference("online_best_agree:done best_agree_bpb")
