"""From what came of each attack to lists of names and one exit code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN
from harness.selftest.summary import LEGAL, Detail, detail, summarise
from harness.selftest.trial import State, Trial

CHEATS = ("CAUGHT", "ESCAPED", "NOT-RUN", "ERROR", LEGAL)
TWINS = ("PASS", "FAIL", "NOT-RUN", "ERROR")


def made(cheat, twin, seconds=1.0):
    return Detail(
        cheat=cheat, twin=twin, caught_by=(), reason="", twin_reason="", seconds=seconds
    )  # fmt: skip


pairs = st.tuples(st.sampled_from(CHEATS), st.sampled_from(TWINS))


@given(st.lists(pairs, max_size=8))
def test_each_name_is_in_the_lists_that_it_belongs_to(tried):
    summary = summarise({f"a{n}": made(*pair) for n, pair in enumerate(tried)})

    def names(condition):
        return tuple(f"a{n}" for n, pair in enumerate(tried) if condition(*pair))

    assert summary.caught == names(lambda cheat, twin: cheat == "CAUGHT")
    assert summary.escaped == names(lambda cheat, twin: cheat == "ESCAPED")
    assert summary.twins_passed == names(lambda cheat, twin: twin == "PASS")
    assert summary.twins_failed == names(lambda cheat, twin: twin == "FAIL")
    assert summary.not_run == names(lambda cheat, twin: "NOT-RUN" in (cheat, twin))
    assert summary.errors == names(lambda cheat, twin: "ERROR" in (cheat, twin))


@given(st.lists(pairs, min_size=1, max_size=4))
def test_green_only_if_all_that_ran_are_right_and_something_ran(tried):
    words = [word for pair in tried for word in pair]
    code = summarise({f"a{n}": made(*pair) for n, pair in enumerate(tried)}).exit_code
    if "ESCAPED" in words or "FAIL" in words:
        assert code == EXIT_RULE_BROKEN
    elif "ERROR" in words or not {"CAUGHT", "PASS"} & set(words):
        assert code == EXIT_JUDGE
    else:
        assert code == EXIT_PASS


@pytest.mark.parametrize(
    ("tried", "says"),
    [
        ([("CAUGHT", "PASS"), ("NOT-RUN", "PASS")], "1 caught, 0 escaped, 0 twins failed, 1 not run"),
        ([("ERROR", "FAIL")], "0 caught, 0 escaped, 1 twins failed, 0 not run, 1 errors"),
        ([], "0 caught, 0 escaped, 0 twins failed, 0 not run"),
    ],
)  # fmt: skip
def test_the_last_line(tried, says):
    summary = summarise({str(n): made(*pair) for n, pair in enumerate(tried)})
    assert summary.sentence == says


def test_a_detail_has_both_trials():
    cheat = Trial(state=State.ESCAPED, caught_by=("order.blind",), reason="why", wall_s=1.25)
    twin = Trial(state=State.FAIL, reason="why not", wall_s=2.0)
    assert detail(cheat, twin) == Detail(
        cheat="ESCAPED",
        twin="FAIL",
        caught_by=("order.blind",),
        reason="why",
        twin_reason="why not",
        seconds=3.25,
    )
    assert detail(None, twin).cheat == LEGAL
