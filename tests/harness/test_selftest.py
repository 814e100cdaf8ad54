"""`harness selftest`: what it prints, what it ends with, what it leaves."""

import json
import signal
import subprocess
import tempfile
import time

import pytest

from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN
from harness.run import Run
from harness.selftest import trial
from tests.harness.selftest.made import CAUGHT, CRASH, LEGAL, OVER, SAME, entry
from tests.judged import command, environment

KEYS = {
    "harness_version", "exit_code", "caught", "escaped", "twins_passed", "twins_failed", "not_run", "errors",
    "attacks", "seconds",
}  # fmt: skip


@pytest.fixture
def corpus(tmp_path):
    return tmp_path / "corpus"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A TMPDIR of the test's own, in which nothing may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_all_that_is_right_is_green(corpus, desk):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    entry(corpus, "a_legal_thing", LEGAL)
    status, out, err = desk("selftest", "--jobs", 1, "--corpus", corpus)
    assert (status, err) == (EXIT_PASS, "")
    first, second, last = out.splitlines()
    assert first.split() == ["LEGAL", "a_legal_thing", "-", "twin", "PASS", first.split()[-2], "s"]
    assert second.split()[:5] == ["CAUGHT", "over", "bytes.artifact", "twin", "PASS"]
    assert first.index("twin") == second.index("twin")
    assert last.startswith("1 caught, 0 escaped, 0 twins failed, 0 not run (")
    assert "\x1b" not in out


def test_an_escape_is_a_broken_rule(corpus, desk):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    entry(corpus, "walks_through", CAUGHT, cheat=SAME)
    status, out, _ = desk("selftest", "--jobs", 1, "--corpus", corpus)
    assert status == EXIT_RULE_BROKEN
    assert out.splitlines()[1].split()[:3] == ["ESCAPED", "walks_through", "-"]
    assert (
        out.splitlines()[2].strip().startswith("bytes.artifact did not FAIL; the verdict is PASS")
    )
    assert "1 caught, 1 escaped, 0 twins failed" in out


def test_a_twin_that_fails_is_a_broken_rule(corpus, desk):
    entry(corpus, "over", CAUGHT, cheat=OVER, honest=OVER)
    status, out, _ = desk("selftest", "--jobs", 1, "--corpus", corpus)
    assert status == EXIT_RULE_BROKEN
    assert out.splitlines()[0].split()[:5] == ["CAUGHT", "over", "bytes.artifact", "twin", "FAIL"]
    assert out.splitlines()[1].strip().startswith("twin: bytes.artifact is FAIL: 2")
    assert "1 caught, 0 escaped, 1 twins failed" in out


def test_what_the_judge_cannot_do_is_its_own_failure(corpus, desk, monkeypatch):
    def conduct(*_, **__):
        raise KeyError("\x1b[31m::error::")

    entry(corpus, "over", CAUGHT, cheat=OVER)
    monkeypatch.setattr(trial, "conduct", conduct)
    status, out, err = desk("selftest", "--jobs", 1, "--corpus", corpus)
    assert (status, err) == (EXIT_JUDGE, "")
    assert out.splitlines()[0].startswith("ERROR  ")
    assert "the judge raised KeyError in test_selftest.py" in out
    assert "1 errors" in out


def test_words_of_a_submission_are_made_harmless(corpus, desk):
    entry(corpus, "loud", CAUGHT, cheat=CRASH)
    _, out, _ = desk("selftest", "--jobs", 1, "--corpus", corpus)
    assert "stopped: " in out
    assert "\x1b" not in out
    assert "::error" not in out


def test_json_is_one_record_and_the_lines_go_elsewhere(corpus, desk):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    entry(corpus, "legal", LEGAL, honest=OVER)
    entry(corpus, "walks_through", CAUGHT, cheat=SAME)
    status, out, err = desk("selftest", "--jobs", 1, "--corpus", corpus, "--json")
    said = json.loads(out)
    assert set(said) == KEYS
    assert (status, said["exit_code"]) == (EXIT_RULE_BROKEN, EXIT_RULE_BROKEN)
    assert {name: said[name] for name in KEYS if isinstance(said[name], list)} == {
        "caught": ["over"],
        "escaped": ["walks_through"],
        "twins_passed": ["over", "walks_through"],
        "twins_failed": ["legal"],
        "not_run": [],
        "errors": [],
    }
    assert said["attacks"]["over"]["caught_by"] == ["bytes.artifact"]
    assert said["attacks"]["walks_through"]["reason"].startswith("bytes.artifact did not FAIL")
    assert said["attacks"]["legal"]["cheat"] == "LEGAL"
    assert said["attacks"]["legal"]["twin_reason"].startswith("bytes.artifact is FAIL")
    assert said["seconds"] == pytest.approx(
        sum(each["seconds"] for each in said["attacks"].values()), abs=0.01
    )
    assert [line.split()[1] for line in err.splitlines() if line[0] != " "] == [
        "legal",
        "over",
        "walks_through",
    ]


def test_names_choose(corpus, desk):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    entry(corpus, "walks_through", CAUGHT, cheat=SAME)
    status, out, _ = desk("selftest", "over", "--jobs", 1, "--corpus", corpus)
    assert status == EXIT_PASS
    assert len(out.splitlines()) == 2


def test_bad_input_is_one_sentence(corpus, desk, tmp_path):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    said = desk.refuses("selftest", "ovre", "--corpus", corpus)
    assert said.endswith(f"no attack 'ovre' in {corpus}; did you mean 'over'?")
    said = desk.refuses("selftest", "--corpus", tmp_path / "temporary")
    assert "no folder in it has an expected.toml" in said
    said = desk.refuses("selftest", "--corpus", corpus, "--keep", corpus)
    assert said.endswith("is not empty; choose a new folder")
    said = desk.refuses("selftest", "--corpus", corpus, "--keep", corpus / "over" / "expected.toml")
    assert "choose a writable folder" in said
    (corpus / "over" / "expected.toml").write_text("say = 1")
    said = desk.refuses("selftest", "--corpus", corpus)
    assert "over/expected.toml: " in said


def test_a_place_that_cannot_be_written_is_one_sentence(corpus, desk, monkeypatch):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    monkeypatch.setattr(tempfile, "tempdir", str(corpus / "nowhere"))
    assert "set TMPDIR to a writable folder" in desk.refuses("selftest", "--corpus", corpus)


def test_the_list_tries_nothing(corpus, desk, monkeypatch):
    monkeypatch.setattr(Run, "create", None)
    entry(corpus, "over", CAUGHT, cheat=OVER)
    entry(corpus, "legal", LEGAL)
    assert desk("selftest", "--list", "--corpus", corpus) == (
        EXIT_PASS,
        "legal   Knows nothing.\nover    Leaves more than the cap.\n",
        "",
    )
    status, out, _ = desk("selftest", "--list", "--json", "over", "--corpus", corpus)
    assert (status, json.loads(out)) == (
        EXIT_PASS,
        [
            {
                "name": "over",
                "caught_by": ["bytes.artifact"],
                "needs": "",
                "source": ["a test"],
                "says": "Leaves more than the cap.",
            }
        ],
    )


def test_without_a_name_it_is_the_corpus_of_the_project(desk):
    status, out, _ = desk("selftest", "--list")
    assert status == EXIT_PASS
    assert "gate_reads_target_class" in out


def test_runs_that_are_kept_can_be_reported(corpus, desk, tmp_path):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    status, _, _ = desk("selftest", "--corpus", corpus, "--keep", "kept")
    assert status == EXIT_PASS
    (run,) = (tmp_path / "kept" / "over-cheat" / "runs").iterdir()
    status, out, _ = desk("report", run, "--json")
    assert (status, json.loads(out)["verdict"]) == (EXIT_RULE_BROKEN, "FAIL")


def test_ctrl_c_leaves_nothing(corpus, temporary, tmp_path):
    sleeps = "\nimport time\ntime.sleep(60)\n"
    entry(corpus, "over", CAUGHT, cheat=sleeps)
    with subprocess.Popen(
        command("selftest", "--corpus", corpus),
        env=environment({"TMPDIR": str(temporary)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        deadline = time.monotonic() + 60
        # Its first seed has a folder: the submission is being started, or sleeps already.
        begun = "harness-selftest-*/over-cheat/runs/*/seeds/*"
        while not any(temporary.glob(begun)) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (EXIT_JUDGE, "", "stopped")


def test_trials_side_by_side_come_to_the_same_end(desk, corpus):
    entry(corpus, "over", CAUGHT, cheat=OVER)
    entry(corpus, "a_legal_thing", LEGAL)
    alone = json.loads(desk("selftest", "--jobs", 1, "--corpus", corpus, "--json")[1])
    beside = json.loads(desk("selftest", "--jobs", 2, "--corpus", corpus, "--json")[1])
    for summary in (alone, beside):
        del summary["seconds"]
        for detail in summary["attacks"].values():
            del detail["seconds"]
    assert beside == alone
