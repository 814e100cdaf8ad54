from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.report.text import print_report, render_text
from tests.harness.report import samples

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("make", samples.ALL)
def test_golden(make) -> None:
    """After a change that is meant: python -m tests.harness.report.test_text, and read the difference."""
    assert render_text(make(), width=100) == (GOLDEN / f"{make.__name__}.txt").read_text("utf-8")


def test_the_verdict_comes_first() -> None:
    for make in samples.ALL:
        report = make()
        assert render_text(report).split()[0] == report.verdict


def test_every_check_has_one_line() -> None:
    report = samples.passing()
    lines = render_text(report).splitlines()
    for found in report.findings:
        assert sum(found.id in line and found.status in line for line in lines) == 1


def test_nothing_depends_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = render_text(samples.passing())
    for name, value in (
        ("COLUMNS", "41"),
        ("FORCE_COLOR", "1"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
    ):
        monkeypatch.setenv(name, value)
    assert render_text(samples.passing()) == before


def test_the_folder_is_named_where_it_is_known() -> None:
    assert "files         out/here: report.json" in render_text(
        samples.passing(), folder="out/here"
    )


def _printed(environ: dict[str, str], *, terminal: bool, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="")
    # Windows' own console is written to by calls, not by characters.
    console = Console(
        file=out, width=100, force_terminal=terminal, legacy_windows=False, _environ=environ
    )
    print_report(samples.failing(), console)
    out.flush()
    return raw.getvalue().decode(encoding)


def test_a_terminal_gets_colour_and_nothing_else_does() -> None:
    terminal = {"TERM": "xterm-256color"}
    assert "\x1b[1;7;31m FAIL " in _printed(terminal, terminal=True)
    assert "\x1b" not in _printed(terminal, terminal=False)
    assert "31" not in _printed({**terminal, "NO_COLOR": "1"}, terminal=True).split("FAIL")[0]


def test_a_pipe_gets_the_plain_text_whatever_width_is_guessed_for_it() -> None:
    out = io.StringIO()
    print_report(samples.passing(), Console(file=out, width=80, force_terminal=False))
    assert out.getvalue() == render_text(samples.passing(), width=100)


def test_colour_codes_are_ours_alone() -> None:
    coloured = _printed({"TERM": "xterm-256color"}, terminal=True)
    assert "\x1b[31mred" not in coloured
    assert "\x07" not in coloured
    assert "\\x1b[31mred" in coloured


def test_an_output_that_cannot_write_every_letter_gets_escapes() -> None:
    plain = _printed({}, terminal=False, encoding="ascii")
    assert plain.isascii()
    assert "FAIL" in plain


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for sample in samples.ALL:
        (GOLDEN / f"{sample.__name__}.txt").write_text(render_text(sample(), width=100), "utf-8")
