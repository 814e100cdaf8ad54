"""Which form progress takes where, and that none of them holds up the judge."""

import os
import sys
import time
from types import SimpleNamespace

import pytest

from checks.contract import Outcome
from harness.commands import aside
from harness.commands.show import Lines, Quiet, announce, chosen, listener
from harness.errors import UsageError
from tests.harness.commands.moments import CONTEST, HOSTILE, over

EVENTS = """phase(1337, "score", 600.0)
progress(1, 2, nats_per_token=1.0)
clock(runs=False)
ended(1337, over("score", 3.0))
note("a remark")"""


@pytest.mark.parametrize(
    ("terminal", "term", "asked", "form"),
    [
        (True, "xterm", "auto", "live"),
        (True, "dumb", "auto", "plain"),
        (True, "unknown", "auto", "plain"),
        (True, "", "auto", "plain"),
        (False, "xterm", "auto", "plain"),
        (True, "xterm", "live", "live"),
        (True, "xterm", "plain", "plain"),
        (True, "xterm", "json", "json"),
        (False, "dumb", "json", "json"),
        (True, "xterm", "none", "none"),
    ],
)
def test_what_fits(monkeypatch, terminal, term, asked, form):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal))
    monkeypatch.setenv("TERM", term)
    assert chosen(asked) == form


@pytest.mark.parametrize(("terminal", "term"), [(False, "xterm"), (True, "dumb"), (True, None)])
def test_a_live_view_needs_a_terminal(monkeypatch, terminal, term):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: terminal))
    if term is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", term)
    with pytest.raises(UsageError, match="choose plain or json"):
        chosen("live")


def test_what_cannot_be_asked_for(desk):
    said = desk.refuses("run", "nowhere", "--quiet", "--progress", "json")
    assert said == "harness: --quiet and --progress json: give one of them"
    assert "--progress live: standard error is no" in desk.refuses("run", "x", "--progress", "live")
    assert "nowhere" in desk.refuses("run", "nowhere", "--quiet", "--progress", "none")


@pytest.mark.parametrize("form", ["plain", "json", "none"])
def test_every_form_takes_every_event(capsys, form):
    with listener(CONTEST, form) as watching:
        for event in EVENTS.splitlines():
            eval(f"watching.{event}", {"watching": watching, "over": over})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == {"plain": 2, "json": 5, "none": 0}[form]
    if form == "plain":
        assert lines == ["seed 1337  score         3.00 s of 600 s", "a remark"]


def test_lines_are_harmless(capsys):
    lines = Lines()
    lines.ended(1, over("train", 1.0, outcome=Outcome.EXITED, detail=HOSTILE))
    lines.note(HOSTILE)
    announce(HOSTILE, "plain")
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 3
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "::" not in text


def test_quiet_is_quiet(capsys):
    quiet = Quiet()
    quiet.phase(1, "train", 1.0)
    quiet.clock(runs=True)
    quiet.progress(1, 2)
    quiet.ended(1, over("train", 1.0))
    quiet.note("x")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_pipe_that_nobody_reads_holds_up_nobody_and_loses_nothing(monkeypatch, form):
    monkeypatch.setattr(aside, "PATIENCE_S", 0.2)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        began = time.monotonic()
        with listener(CONTEST, form) as watching:
            for number in range(3000):  # a pipe takes 64 KiB
                watching.note(f"remark {number} {'x' * 100}")
        assert time.monotonic() - began < 5.0
    read = b""
    with os.fdopen(reader, "rb") as pipe:  # ends when the thread has closed its own end
        read = pipe.read()
    lines = [line for line in read.decode().splitlines() if "remark" in line]
    assert [f"remark {number} " in line for number, line in enumerate(lines)] == [True] * 3000


def test_a_reader_that_has_gone_is_nobody_to_tell(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with listener(CONTEST, "plain") as watching:
            for _ in range(5):
                watching.note("a remark")
                time.sleep(0.01)
