"""`harness audit` from outside: exit codes, formats, files written, one sentence for bad input."""

import json
import os
import subprocess
import sys

import pytest

from harness.audit import sections
from harness.commands.audit import SORTS
from tests.harness.audit.written import write_record
from tests.judged import ROOT, environment


def audit(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "harness", "audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment() | {"COLUMNS": "200"},
        timeout=120,
        **more,
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    base = tmp_path_factory.mktemp("records")
    write_record(base / "main" / "2026-04-01_Honest")
    write_record(base / "pr7" / "2026-04-02_Cheat", claims={"val_bpb": 1.0})
    (base / "README.md").write_text("# no record\n")
    (base / "main" / "notes.txt").write_text("no log\n")
    return base


def test_a_table_of_many_and_a_page_of_one(records):
    table = audit(records)
    assert table.returncode == 1
    assert "2 records" in table.stdout
    assert "main/2026-04-01_Honest" in table.stdout
    assert "claims.score" in table.stdout
    page = audit(records / "pr7")
    assert page.returncode == 1
    assert "better than every score of every log" in " ".join(page.stdout.split())
    assert table.stderr == page.stderr == ""


def test_an_honest_record_is_open_only_where_nothing_can_be_said(records):
    done = audit(records / "main" / "2026-04-01_Honest", "--format", "json")
    statuses = {f["id"]: f["status"] for f in json.loads(done.stdout)["folders"][0]["findings"]}
    assert "FAIL" not in statuses.values()
    assert done.returncode == (3 if "NOT-RUN" in statuses.values() else 0)


STYLES = ["json", "csv", "markdown", "html", "text", "github", "junit", "sarif"]


@pytest.mark.parametrize("style", STYLES)
def test_each_format_goes_to_a_file(records, tmp_path, style):
    out = tmp_path / f"audit.{style}"
    done = audit(records, "--format", style, "--out", out, "--sort", "fails")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert "2026-04-02_Cheat" in out.read_text().replace("\\", "")


def test_a_table_of_earlier_records_is_written_and_used(records, tmp_path):
    table = tmp_path / "table.toml"
    done = audit(records, "--write-baselines", table)
    assert (done.returncode, done.stdout.strip()) == (0, f"{table}: 1 of 2 records")
    assert 'id = "2026-04-01_Honest"' in table.read_text()
    later = write_record(tmp_path / "2026-04-09_Later", claims={"date": "2026-04-09"})
    used = audit(later, "--baselines", table, "--format", "json")
    margin = next(
        f for f in json.loads(used.stdout)["folders"][0]["findings"] if f["id"] == "evidence.margin"
    )
    assert margin["evidence"]["against"] == "2026-04-01_Honest"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nowhere"], "/nowhere: does not exist"),
        (["{file}"], "is not a folder"),
        (["{empty}"], "no record in there"),
        (["{record}", "--baselines", "{file}"], "notes.txt: "),
        (["{record}", "--out", "/proc/nothing/here"], "/proc/nothing/here"),
    ],
)
def test_bad_input_gets_one_sentence(records, tmp_path, arguments, sentence):
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {
        "file": records / "main" / "notes.txt",
        "empty": empty,
        "record": records / "main" / "2026-04-01_Honest",
    }
    done = audit(*(word.format(**places) for word in arguments), "--format", "json")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_names_that_are_not_utf8_are_shown_and_do_no_harm(tmp_path):
    folder = tmp_path / os.fsdecode(b"r\xff\x1b[2J")
    write_record(folder)
    (folder / os.fsdecode(b"train_\xfe.log")).write_text("seed:9\nfinal val_bpb:1.1\n")
    for style in ("json", "text", "markdown", "csv", "html", "sarif"):
        done = audit(folder, "--format", style)
        assert done.returncode in (0, 1, 3), done.stderr
        assert "\x1b[2J" not in done.stdout
        assert done.stderr == ""


def test_a_title_is_held_to_the_exact_mean(records):
    record = records / "main" / "2026-04-01_Honest"  # whose exact mean is 1.09494360
    slip = audit(record, "--title", "Record: 1.0950 bits per byte", "--format", "json")
    findings = {f["id"]: f for f in json.loads(slip.stdout)["folders"][0]["findings"]}
    assert (
        "title in the pull request says 1.0950; the exact mean 1.09494360"
        in findings["claims.rounding"]["message"]
    )
    exact = audit(record, "--title", "Record: 1.0949 bits per byte", "--format", "json")
    findings = {f["id"]: f for f in json.loads(exact.stdout)["folders"][0]["findings"]}
    assert "title" not in findings["claims.rounding"]["message"]
    assert audit(records, "--title", "1.1").returncode == 2


def test_nothing_in_a_record_is_executed(tmp_path):
    folder = write_record(tmp_path / "record")
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')\n"
    for name in ("train_gpt.py", "conftest.py", "sitecustomize.py", "json.py", "setup.py"):
        (folder / name).write_text(trap)
    (folder / "model.pt").write_bytes(
        b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."
    )
    done = subprocess.run(
        [sys.executable, "-m", "harness", "audit", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        timeout=120,
    )
    assert done.returncode in (0, 1, 3), done.stderr
    assert not (tmp_path / "sprung").exists()


def test_the_keys_that_the_command_offers_are_those_that_there_are():
    assert list(sections.SORTS) == SORTS
