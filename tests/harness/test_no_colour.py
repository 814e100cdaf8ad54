"""No escape sequence where none is wanted: NO_COLOR, TERM=dumb, a pipe; on a terminal there are some."""

import io
import sys

import pytest

from harness import cli
from tests.harness.audit.written import write_record
from tests.harness.compare.written import nats_of, run_folder
from tests.judged import ROOT

ESCAPE = "\x1b"
COLOURED = {"audit", "compare", "explain", "report", "stats"}
"""Those that print bold or colours on a terminal, of the invocations below."""
NOT_TRIED = {"attest", "check", "doctor", "gate", "run"}
"""They start processes, or need a repository or a key; what they print on is held to by its source."""
OWN_CONSOLE = {"screen.py", "live.py"}
"""The console of all, and that of the live view, which redraws and leaves colours out by itself."""


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.fixture
def arguments(tmp_path, tiny_data, run_without_baseline, rules):
    """One cheap invocation of each command."""
    run, _ = run_without_baseline
    a, b = (
        run_folder(tmp_path / name, tiny_data, {s: nats_of(tiny_data, s, level=x) for s in (1, 2)})
        for name, x in (("a", 2.0), ("b", 1.9))
    )
    return {
        "audit": [write_record(tmp_path / "record"), "--jobs", "1"],
        "baseline": [run, "--out", tmp_path / "base.toml"],
        "board": [run, "--ruleset", rules],
        "compare": [a, b],
        "completion": ["zsh"],
        "data": ["show", tiny_data.folder],
        "explain": ["norm.sum"],
        "regrade": [run],
        "report": [run],
        "selftest": ["--list"],
        "stats": ["1.9", "1.8", "--baseline", "pr1019"],
        "verify": [run],
    }


@pytest.fixture
def printed(arguments, monkeypatch):
    """What a command prints, on both streams, to a terminal or to a pipe."""

    def run(name, *, terminal, **variables):
        for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        kind = Terminal if terminal else io.TextIOWrapper
        streams = [kind(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["harness", name, *map(str, arguments[name])])
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            with pytest.raises(SystemExit):
                cli.main()
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue().decode() for stream in streams)
        assert "Traceback" not in err, err
        return out + err

    return run


def test_every_command_is_tried(arguments):
    assert set(arguments) | NOT_TRIED == set(cli.COMMANDS)


def test_no_command_has_a_console_of_its_own():
    for path in (ROOT / "harness" / "commands").glob("*.py"):
        if path.name not in OWN_CONSOLE:
            assert "Console(" not in path.read_text("utf-8"), path.name


def test_no_command_prints_an_escape_where_none_is_wanted(printed, arguments):
    for name in arguments:
        said = printed(name, terminal=True, NO_COLOR="1", FORCE_COLOR="1")
        assert said, name
        assert ESCAPE not in said, f"harness {name} with NO_COLOR"
        assert ESCAPE not in printed(name, terminal=True, TERM="dumb"), f"harness {name}, TERM=dumb"
        assert ESCAPE not in printed(name, terminal=False), f"harness {name} to a pipe"


def test_a_terminal_gets_them(printed):
    assert all(ESCAPE in printed(name, terminal=True) for name in COLOURED)
