from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from harness.report.result import Result
from harness.report.result_text import print_result, render_text
from tests.harness.report import sample_results
from tests.harness.report.strategies import results

WIDTHS = (40, 80, 84, 100, 130)


def assert_fits(text: str, width: int) -> None:
    assert max(map(cell_len, text.splitlines())) <= width
    assert not text.startswith("\n")
    assert text.endswith("\n")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", sample_results.ALL)
def test_it_fits(make, width: int) -> None:
    assert_fits(render_text(make(), width=width), width)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(results, st.sampled_from(WIDTHS))
def test_any_result_fits(result: Result, width: int) -> None:
    assert_fits(render_text(result, width=width), width)


@pytest.mark.parametrize("width", [80, 130])
@pytest.mark.parametrize("make", sample_results.GOLDEN)
def test_nothing_is_missing(make, width: int) -> None:
    result = make()
    text = render_text(result, width=width)
    flat = " ".join(text.split())
    lines = text.splitlines()
    assert text.split()[0] == result.verdict
    for entry in result.entries:
        for each in entry.judgements:
            found = each.finding
            assert any(line.split()[:2] == [str(found.status), found.id] for line in lines)
            if found.status in ("FAIL", "ERROR") or (each.required and found.status == "NOT-RUN"):
                assert found.message in flat
                assert each.place is None or f"{each.place.file}:{each.place.line}" in flat
        for note in entry.notes:
            assert note.message in flat
        for left in entry.not_checked:
            assert left.command in flat
        for value in entry.facts.values():
            assert value in flat


def test_what_is_too_much_for_a_screen_is_counted() -> None:
    record = sample_results.audit().entries[0]
    notes = sample_results.gate().entries[1].notes * 150
    many = replace(record, judgements=record.judgements * 150, notes=notes)
    few = replace(record, judgements=(), facts={}, not_checked=())
    text = render_text(sample_results.result("audit", many, *[few] * 200))
    assert "... and 100 more: 100 PASS; JSON has them" in text
    assert "... and 100 more: notes; JSON has them" in text
    assert "... and 1 more: 1 NOT-RUN; JSON has them" in text


def test_a_terminal_gets_colour_that_is_ours_alone() -> None:
    out = io.StringIO()
    console = Console(
        file=out,
        width=100,
        force_terminal=True,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color"},
    )
    print_result(sample_results.hostile(), console)
    assert "\x1b[1;7;31m FAIL " in out.getvalue()
    assert "\x1b[31mred" not in out.getvalue()


def test_a_pipe_gets_plain_text() -> None:
    out = io.StringIO()
    print_result(sample_results.gate(), Console(file=out, width=80, force_terminal=False))
    assert out.getvalue() == render_text(sample_results.gate(), width=100)
