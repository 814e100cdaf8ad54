"""The judge's clock: monotonic, and deaf to the wall clock."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from harness import clock
from harness.clock import Deadline, Stopwatch, now_s, sleep, utc_now


def test_it_is_the_clock_that_submissions_are_told_about():
    """`deadline_s` in the `data` frame is compared with time.monotonic() over there."""
    assert abs(now_s() - time.monotonic()) < 1.0


def test_steps_of_the_wall_clock_change_nothing(monkeypatch):
    watch, deadline = Stopwatch(), Deadline(1000.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0.0 <= watch.elapsed_s < 100.0
    assert 900.0 < deadline.remaining_s <= 1000.0


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_deadlines_and_stopwatches_follow_the_clock(in_s, later_s):
    real = clock.now_s
    try:
        clock.now_s = lambda: 5000.0
        deadline, watch = Deadline(in_s), Stopwatch()
        clock.now_s = lambda: 5000.0 + later_s
        assert watch.elapsed_s == (5000.0 + later_s) - 5000.0
        assert deadline.remaining_s == (5000.0 + in_s) - (5000.0 + later_s)
        assert deadline.passed == (deadline.remaining_s <= 0.0)
    finally:
        clock.now_s = real


def test_a_deadline_in_no_time_has_passed():
    assert Deadline(0.0).passed
    assert not Deadline(10.0).passed


def test_sleep_lasts_at_least_as_long_as_asked():
    watch = Stopwatch()
    sleep(0.02)
    assert watch.elapsed_s >= 0.02


def test_dates_are_utc_to_the_second():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())
