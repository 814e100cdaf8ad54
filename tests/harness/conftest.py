"""What tests of the command line share: somebody at a terminal, and a run to ask about."""

import sys

import pytest

from harness import cli
from harness.errors import (
    EXIT_USAGE,
)
from tests.judged import QUICK, ROOT, judge, uniform


class Desk:
    """Somebody at a terminal, in this process: `harness ARGUMENTS`, and what came of it."""

    def __init__(self, folder, monkeypatch, capsys):
        self._folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys

    def __call__(self, *arguments):
        self._monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        return ended.value.code, out, err

    def refuses(self, *arguments) -> str:
        """Return the sentence; check that it is one, and that nothing else was said or done."""
        before = {path for path in self._folder.rglob("*") if path.name == "run.json"}
        status, out, err = self(*arguments)
        assert status == EXIT_USAGE, err
        assert out == ""
        assert "Traceback" not in err
        lines = err.splitlines()
        assert len(lines) == 1, err
        assert lines[0].startswith("harness: ")
        assert {path for path in self._folder.rglob("*") if path.name == "run.json"} == before
        return lines[0]


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Desk(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def rules(tmp_path_factory):
    """The quick ruleset, few questions, with stats.margin required and no baseline of its own."""
    text = QUICK.read_text()
    for old, new in (
        ("blind = 300", "blind = 20"),
        ("max_rounds = 4", "max_rounds = 1"),
        ('baseline = "quick.toml"', 'baseline = ""'),
        ('"repro.score",', '"repro.score", "stats.margin",'),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("rules") / "margin.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def submission(tmp_path_factory):
    return uniform(tmp_path_factory.mktemp("submission") / "mine")


@pytest.fixture(scope="session")
def asked(submission, rules, tiny_data):
    return ["run", submission, "--ruleset", rules, "--data", tiny_data.folder]


@pytest.fixture(scope="session")
def run_without_baseline(asked, tmp_path_factory):
    """A finished run of two seeds that had nothing to beat; (folder, the process that made it)."""
    folder = tmp_path_factory.mktemp("judged")
    done = judge(*asked, "--seeds", "1,2", "--json", "--out", folder / "runs", cwd=ROOT)
    (run,) = (folder / "runs").iterdir()
    return run, done
