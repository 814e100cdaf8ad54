"""The live view on a terminal: redrawn in place, gone at the end, and never in the judge's way."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import termios
import threading
import time
import tty
from itertools import pairwise
from types import SimpleNamespace

import pytest
from rich.live import Live

from checks.contract import Outcome
from harness.commands import aside, live
from harness.commands.live import Panel
from harness.commands.watched import Facts
from tests.harness.commands.moments import CONTEST, HOSTILE, over
from tests.harness.commands.terminals import Screen
from tests.judged import ROOT, command, environment, uniform

CURSOR_HIDDEN = "\x1b[?25l"


class Terminal:
    """A pseudo terminal that takes the place of stderr."""

    def __init__(self, monkeypatch, encoding="utf-8"):
        self.ours, self.theirs = pty.openpty()
        tty.setraw(self.theirs)  # what is written arrives as it is
        self.stream = os.fdopen(os.dup(self.theirs), "w", encoding=encoding)
        # Not sys.stderr itself, which pytest sets anew between a fixture and its test.
        monkeypatch.setattr(aside, "sys", SimpleNamespace(stderr=self.stream))
        monkeypatch.setenv("TERM", "xterm-256color")
        self.resize(80)
        self.text = ""

    def resize(self, columns, lines=24):
        termios.tcsetwinsize(self.theirs, (lines, columns))

    def read(self):
        """Return all that was written so far."""
        while select.select([self.ours], [], [], 0.05)[0]:
            self.text += os.read(self.ours, 1 << 16).decode("utf-8", "surrogateescape")
        return self.text

    def until(self, wanted):
        """Read until something was written."""
        for _ in range(200):
            if wanted in self.read():
                return
        raise AssertionError(f"no {wanted!r} in {self.text!r}")

    def close(self):
        self.stream.close()
        for end in (self.ours, self.theirs):
            os.close(end)


@pytest.fixture
def terminal(monkeypatch):
    made = Terminal(monkeypatch)
    yield made
    made.close()


def test_it_is_redrawn_in_place_and_gone_at_the_end(terminal):
    with Panel(CONTEST) as drawn:
        terminal.until("trying the sandbox")
        screen = Screen()
        screen.feed(terminal.text)
        assert screen.shown[0].startswith("A submission · ruleset parameter-golf")
        drawn.watched.phase(1337, "setup", 900.0)
        terminal.until("15:00 left")
        drawn.watched.ended(1337, over("setup", 1.5))
        drawn.watched.phase(1337, "score", 600.0)
        drawn.watched.progress(1_000, 4_000, nats_per_token=1.9)
        terminal.until("1,000 of 4,000, 25%")
        screen = Screen()
        screen.feed(terminal.text)
        assert len(screen.shown) == 8
        assert "1.50" in screen.shown[2]
        assert "1.9000 nats/token so far · 0.0221 above" in screen.shown[-1]
    screen = Screen()
    screen.feed(terminal.read())
    assert screen.shown == []
    assert CURSOR_HIDDEN not in terminal.text
    assert screen.colours


def test_failures_and_remarks_stay(terminal):
    with Panel(CONTEST) as drawn:
        drawn.watched.phase(1337, "train", 600.0)
        detail = f"its last line: {HOSTILE}"
        drawn.watched.ended(1337, over("train", 600.0, outcome=Outcome.EXITED, detail=detail))
        drawn.watched.note(f"a remark {HOSTILE}")
    screen = Screen()  # which knows no other sequences than rich's
    screen.feed(terminal.read())
    assert len(screen.shown) == 2
    assert screen.shown[0].startswith("seed 1337  train       600.00 s of 600 s  exited: its last")
    assert screen.shown[1].startswith("a remark \\x1b[2J\\x1b]0;owned\\x07 [bold]")


def test_where_a_run_is_cut_off_it_stays_and_what_is_said_last_comes_last(terminal):
    with contextlib.suppress(KeyboardInterrupt), Panel(CONTEST) as drawn:
        drawn.watched.phase(1337, "train", 600.0)
        terminal.until("10:00 left")
        drawn.watched.note("go on with: harness run --resume x")
        raise KeyboardInterrupt
    screen = Screen()
    screen.feed(terminal.read())
    assert screen.shown[-2].startswith("train ")
    assert screen.shown[-1] == "go on with: harness run --resume x"
    assert len(screen.shown) == 7
    assert terminal.text.endswith("\n")


def test_no_color_leaves_no_colour(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with Panel(CONTEST) as drawn:
        drawn.watched.phase(1337, "train", 600.0)
        terminal.until("10:00 left")
    screen = Screen()
    screen.feed(terminal.read())
    assert screen.colours == set()


def test_a_terminal_that_is_not_utf_gets_ascii(monkeypatch):
    terminal = Terminal(monkeypatch, encoding="iso-8859-1")
    with Panel(Facts(name="Größe", ruleset="r", seeds=(1,))) as drawn:
        drawn.watched.phase(1, "train", 600.0)
        terminal.until("10:00 left")
    assert terminal.read().isascii()
    assert "....\x1b[0m  0:00 of 10:00" in terminal.text
    terminal.close()


def test_a_narrower_terminal_keeps_no_remains(terminal):
    with Panel(CONTEST) as drawn:
        drawn.watched.phase(1337, "train", 600.0)
        terminal.until("10:00 left")
        screen = Screen()
        screen.feed("what was there before\r\n" + terminal.text)
        seen = len(terminal.text)
        screen.reflow(40)
        assert len(screen.shown) > 7
        terminal.resize(40)
        terminal.until("A submission\x1b[0m · seed 1 of 3")
        screen.feed(terminal.text[seen:])
        assert screen.shown[0] == "what was there before"
        assert screen.shown[1].startswith("A submission · seed 1 of 3")
        assert len(screen.shown) == 6


def test_it_is_drawn_eight_times_a_second_at_most_and_only_when_something_changed(
    terminal, monkeypatch
):
    drawings = []
    refresh = Live.refresh
    monkeypatch.setattr(
        Live, "refresh", lambda self: (drawings.append(time.monotonic()), refresh(self))
    )
    with Panel(CONTEST) as drawn:
        drawn.watched.phase(1337, "score", 600.0)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            doing = drawn.watched.doing
            drawn.watched.progress(doing.done + 1, 10**9, nats_per_token=1.9)
        busy = [b - a for a, b in pairwise(drawings)]
        assert len(busy) >= 1
        assert min(busy) >= live.EVERY_S * 0.9
        assert live.EVERY_S >= 1 / 8
        drawn.watched.phase(1337, "train", 600.0)
        terminal.until("train ")
        before = len(drawings)
        time.sleep(3.0)
        # The time used and the whole time change, each once a second.
        assert len(drawings) - before <= 8 < 3.0 / live.EVERY_S


@pytest.fixture
def stopped(terminal):
    """A terminal on which somebody pressed Ctrl-S."""
    termios.tcflow(terminal.theirs, termios.TCOOFF)
    yield terminal
    termios.tcflow(terminal.theirs, termios.TCOON)


def drawing_threads():
    return [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_terminal_that_nobody_reads_does_not_hold_up_the_judge(stopped, monkeypatch):
    monkeypatch.setattr(aside, "PATIENCE_S", 0.2)
    began = time.monotonic()
    with Panel(CONTEST) as drawn:
        for _ in range(20):
            drawn.watched.phase(1337, "score", 600.0)
            for done in range(1000):
                drawn.watched.progress(done, 1000, nats_per_token=1.9)
            drawn.watched.ended(1337, over("score", 3.0, outcome=Outcome.BREACH))
            drawn.watched.note("a remark")
            time.sleep(0.02)
        (thread,) = drawing_threads()
        before = stopped.read()
    assert time.monotonic() - began < 5.0
    assert thread.is_alive()  # it could not say a word
    assert before == ""
    termios.tcflow(stopped.theirs, termios.TCOON)
    stopped.until("a remark")
    thread.join(10.0)
    assert not thread.is_alive()
    assert stopped.read().count("a remark") == 20
    assert stopped.text.count("of 600 s  breach") == 20


def test_a_terminal_that_is_gone_is_nobody_to_tell(terminal, monkeypatch):
    with Panel(CONTEST) as drawn:
        terminal.until("trying the sandbox")
        os.close(terminal.ours)
        for _ in range(5):
            drawn.watched.phase(1337, "train", 600.0)
            drawn.watched.note("a remark")
            time.sleep(0.1)
    assert drawing_threads() == []
    terminal.ours = os.open(os.devnull, os.O_RDONLY)


def test_ctrl_c_in_a_whole_run_leaves_the_terminal_as_it_was(asked, tmp_path):
    mine = uniform(tmp_path / "mine")
    (mine / "uniform.py").write_text("import time; print('here', flush=True); time.sleep(60)")
    words = [mine if word == asked[1] else word for word in asked]
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        command(*words, "--seeds", "1", "--out", tmp_path / "runs"),
        stderr=theirs,
        cwd=ROOT,
        env=environment({"TERM": "xterm-256color"}),
    )
    said = b""
    while b" of 0:30, " not in said:
        assert process.poll() is None
        assert select.select([ours], [], [], 60.0)[0]
        said += os.read(ours, 1 << 16)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    while select.select([ours], [], [], 0.1)[0]:
        said += os.read(ours, 1 << 16)
    text = said.decode()
    after = termios.tcgetattr(theirs)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 3
    assert after == before
    assert not re.search(r"\x1b\[\?", text)  # no mode was changed: none is left
    screen = Screen()
    screen.feed(text)
    assert screen.shown[0].startswith("run ")
    assert any(line.startswith("setup ") for line in screen.shown)
    assert any(line.startswith("go on with: harness run --resume ") for line in screen.shown)
    assert screen.shown[-1] == "stopped"
