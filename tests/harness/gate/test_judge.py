"""A pull request to one result: with a trial of the test's own in place of the judged session."""

from __future__ import annotations

import re

import msgspec
import pytest

from checks.contract import Finding, Status
from harness.errors import UsageError
from harness.gate.judge import judge, request
from harness.gate.received import MAX_BYTES, receive
from harness.report.result import Entry, Judgement, conclude, encode
from tests.harness.audit.written import write_record
from tests.harness.gate.pulls import LINK, Pulls, folder_files

BASE = {"README.md": b"read", "gate.toml": b"schema = 1\n"}
MINE = {"submissions/mine/submission.toml": b"fine", "submissions/mine/a.py": b"y"}


def trial(folder, name, rules):
    """Pass what says so; what it is given are the files, and nothing else."""
    text = (folder / "submission.toml").read_text()
    if text == "raises":
        raise RuntimeError("of the trial")
    if text == "links":
        raise UsageError(f"{folder.name}: is odd; mend it")
    status = Status.PASS if text == "fine" else Status.FAIL
    said = [
        ("submission.manifest", Status.PASS),
        ("submission.files", Status.PASS),
        ("a.check", status),
    ]
    judgements = (
        *(Judgement(finding=Finding(id=i, status=s, message=text), required=True) for i, s in said),
        Judgement(
            finding=Finding(id="submission.session", status=Status.NOT_RUN, message="no GPU"),
            required=False,
        ),
    )
    verdict, message = conclude(judgements)
    return Entry(
        kind="submission", name="?", verdict=verdict, message=message, judgements=judgements
    )


@pytest.fixture
def pulls(tmp_path):
    return Pulls(tmp_path / "repo.git")


def ask(pulls, files, base=BASE):
    first = pulls.commit("main", base)
    pulls.commit("pull", files, parent=first)
    return request(pulls.folder, "main", "pull")


def verdicts(result):
    return {(e.kind, e.name): str(e.verdict) for e in result.entries if e.kind != "pull request"}


def test_a_clean_submission_passes(pulls):
    result = judge(ask(pulls, MINE), trial)
    assert (result.verdict, result.exit_code) == (Status.PASS, 0)
    assert (
        result.message == "2 judged: 2 PASS; training, its time and the margin are still to be run"
    )
    assert verdicts(result) == {("submission", "submissions/mine"): "PASS"}
    assert result.commits == ask(pulls, MINE).commits
    assert result.ruleset.name == "parameter-golf"
    assert len(result.entries[1].digest) == 64


def test_a_trespass_breaks_although_the_submission_is_fine(pulls):
    result = judge(ask(pulls, {**MINE, "gate.toml": b"schema = 1\nmax_files = 9\n"}), trial)
    assert (result.verdict, result.exit_code) == (Status.FAIL, 1)
    assert verdicts(result) == {("submission", "submissions/mine"): "PASS"}
    assert result.entries[0].message == "broken: gate.scope"


def test_rules_are_those_of_the_base(pulls):
    wide = {"gate.toml": b"schema = 1\nmax_files = 1\n"}
    result = judge(ask(pulls, {**MINE, "gate.toml": b"schema = 1\n"}, {**BASE, **wide}), trial)
    assert result.entries[0].message == "broken: gate.scope, gate.size"
    assert len(result.entries) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"raises", "the judge failed: RuntimeError: of the trial"),
        (b"links", "the judge failed: bad: is odd; mend it"),
    ],
)
def test_one_that_breaks_the_judge_takes_no_other_along(pulls, text, message):
    result = judge(ask(pulls, {**MINE, "submissions/bad/submission.toml": text}), trial)
    assert (result.verdict, result.exit_code) == (Status.ERROR, 3)
    assert verdicts(result)["submission", "submissions/mine"] == "PASS"
    bad = next(e for e in result.entries if e.name == "submissions/bad")
    assert bad.judgements[0].finding.message == message


def test_a_broken_rule_counts_more_than_an_error(pulls):
    bad = {"submissions/a/submission.toml": b"raises", "submissions/b/submission.toml": b"no"}
    assert judge(ask(pulls, bad), trial).exit_code == 1


def test_a_manifest_that_is_a_link_is_never_followed(pulls):
    result = judge(
        ask(
            pulls, {"submissions/l/submission.toml": (LINK, b"/etc/passwd"), "submissions/l/a": b""}
        ),
        trial,
    )
    assert result.exit_code == 1
    assert "FileNotFoundError" in result.entries[1].judgements[0].finding.message


def test_nothing_to_judge_is_said(pulls):
    with pytest.raises(UsageError, match=r"adds no submission and no record below submissions/"):
        judge(ask(pulls, {}), trial)


def test_a_deleted_folder_is_a_broken_rule(pulls):
    base = {**BASE, "records/old/submission.json": b"{}"}
    result = judge(ask(pulls, {"records/old/submission.json": None}, base), trial)
    assert result.exit_code == 1
    assert "is deleted; it stands on the base" in result.entries[0].judgements[0].finding.message


def records(tmp_path, name, **changed):
    return folder_files(write_record(tmp_path / name, **changed), f"records/{name}")


def test_records_are_audited_by_what_the_base_requires(pulls, tmp_path):
    honest = records(tmp_path, "2026-04-03_honest")
    result = judge(ask(pulls, honest), trial)
    assert verdicts(result) == {("record", "records/2026-04-03_honest"): "PASS"}
    assert result.exit_code == 0
    required = {j.finding.id for j in result.entries[1].judgements if j.required}
    assert "claims.score" in required
    lying = records(tmp_path, "2026-04-03_lying", claims={"val_bpb": 1.01})
    result = judge(ask(pulls, {**honest, **lying}), trial)
    assert verdicts(result) == {
        ("record", "records/2026-04-03_honest"): "PASS",
        ("record", "records/2026-04-03_lying"): "FAIL",
    }
    strict = {"gate.toml": b'records_required = ["claims.json", "claims.delta"]\n'}
    result = judge(ask(pulls, honest, {**BASE, **strict}), trial)
    assert result.exit_code == 3
    assert result.entries[1].message == "undecided: claims.delta"


# The other side: a job that trusts nothing but git.


@pytest.fixture
def left(pulls, tmp_path):
    """A pull request, and what the judging job left of it."""
    asked = ask(pulls, MINE)
    file = tmp_path / "result.json"
    file.write_bytes(encode(judge(asked, trial)))
    return asked, file


def test_an_honest_result_comes_through(left):
    asked, file = left
    result = receive(asked, file)
    assert result.exit_code == 0
    assert verdicts(result) == {("submission", "submissions/mine"): "PASS"}
    assert result.entries[0].judgements[-1].finding.id == "gate.result"


def test_no_result_is_a_failure(left, tmp_path):
    asked, _ = left
    result = receive(asked, tmp_path / "none.json")
    assert (result.verdict, result.exit_code) == (Status.ERROR, 3)
    assert "no result arrived" in result.entries[0].judgements[-1].finding.message
    assert len(result.entries) == 1


def forged(result, change):
    plain = msgspec.json.decode(encode(result))
    change(plain)
    return msgspec.json.encode(plain)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["commits"].update(head="1" * 40), "the result is of .*wait for the newer one"),
        (
            lambda r: r["commits"].update(base="1" * 40),
            "the rules of 1{12}, and those of .* are others",
        ),
        (lambda r: r["commits"].update(base="--all"), "by something else than their ids"),
        (lambda r: r["commits"].update(base="main"), "by something else than their ids"),
        (lambda r: r["commits"].update(merge_base="a\0b"), "by something else than their ids"),
        (lambda r: r["entries"][1]["judgements"].pop(0), "a PASS without submission.manifest"),
        (lambda r: r["entries"][1]["judgements"].pop(), "a PASS without bytes.*submission.session"),
        (
            lambda r: r["entries"][1]["judgements"][3]["finding"].update(status="PASS"),
            "a PASS without bytes",
        ),
        (
            lambda r: r["entries"][1]["judgements"][0].update(required=False),
            "does not require submission.man",
        ),
        (
            lambda r: r["entries"][1]["judgements"].append(r["entries"][1]["judgements"][0]),
            "two findings of one check",
        ),
        (
            lambda r: r["entries"][1].update(facts={str(n): "" for n in range(301)}),
            "more than 300 items",
        ),
        (lambda r: r["ruleset"].update(sha256="0" * 64), "other rules than those of the base"),
        (lambda r: r.update(ruleset=None), "other rules than those of the base"),
        (lambda r: r.update(commits=None), "is not of a pull request"),
        (lambda r: r.update(command="check"), "is not of a pull request"),
        (lambda r: r.update(schema_version="1.9"), "schema 1.9 is newer than"),
        (lambda r: r.update(schema_version="2.0"), "schema 2.0 is newer than"),
        (lambda r: r.update(extra=1), "unknown field `extra`"),
        (lambda r: r["entries"].pop(), "says nothing of this folder"),
        (lambda r: r["entries"][1].update(name="submissions/other"), "says nothing of this folder"),
        (lambda r: r["entries"][1].update(digest="0" * 64), "of other contents than this folder's"),
        (lambda r: r["entries"][1].update(digest=None), "of other contents than this folder's"),
        (lambda r: r["entries"][1].update(judgements=[]), "a PASS without bytes.*submission.files"),
    ],
)
def test_a_result_that_is_not_of_this_pull_request_does_not_pass(left, change, words):
    asked, file = left
    file.write_bytes(forged(judge(asked, trial), change))
    result = receive(asked, file)
    assert result.verdict is Status.ERROR
    said = [j.finding.message for e in result.entries for j in e.judgements]
    assert any(re.search(words, message) for message in said)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "result.json"), (b"[" * 100_000, "result.json"), (b"\xff", "result.json"),
        (b" " * (MAX_BYTES + 1), "bytes"),
    ],
    ids=["empty", "deep", "binary", "large"],
)  # fmt: skip
def test_what_is_no_result_is_said_to_be_none(left, data, words):
    asked, file = left
    file.write_bytes(data)
    result = receive(asked, file)
    assert result.exit_code == 3
    assert words in result.entries[0].judgements[-1].finding.message


def test_the_scope_is_worked_out_again(pulls, tmp_path):
    """A pull request that changes the judging job can make it say anything, but not reach what it changed."""
    asked = ask(pulls, {**MINE, ".github/workflows/gate.yml": b"on: pull_request\n"})
    file = tmp_path / "result.json"

    def lie(plain):
        plain["entries"][0]["judgements"] = []
        plain.update(verdict="PASS", exit_code=0)

    file.write_bytes(forged(judge(asked, trial), lie))
    result = receive(asked, file)
    assert (result.verdict, result.exit_code) == (Status.FAIL, 1)
    assert (
        ".github/workflows/gate.yml is outside" in result.entries[0].judgements[0].finding.message
    )


def test_a_base_that_grew_with_the_same_rules_is_the_same(left, pulls):
    asked, file = left
    grown = pulls.commit("main", {"README.md": b"more"}, parent=asked.commits.base)
    later = request(pulls.folder, "main", "pull")
    assert later.commits.base == grown
    assert receive(later, file).exit_code == 0
    pulls.commit("main", {"gate.toml": b"schema = 1\nmax_files = 999\n"}, parent=grown)
    result = receive(request(pulls.folder, "main", "pull"), file)
    assert result.exit_code == 3
    assert "have it judged again" in result.entries[0].judgements[-1].finding.message


def test_a_record_passes_only_with_the_findings_that_the_base_asks_for(pulls, tmp_path):
    asked = ask(pulls, records(tmp_path, "2026-04-03_r"))
    file = tmp_path / "result.json"
    good = judge(asked, trial)
    file.write_bytes(encode(good))
    assert receive(asked, file).exit_code == 0

    def only(plain):
        finding = {"id": "x", "status": "PASS", "message": ""}
        plain["entries"][1]["judgements"] = [{"finding": finding, "required": True}]

    file.write_bytes(forged(good, only))
    result = receive(asked, file)
    assert result.exit_code == 3
    assert (
        "a PASS without claims.json, claims.score"
        in result.entries[1].judgements[0].finding.message
    )


def test_evidence_of_any_depth_does_not_come_through(left):
    asked, file = left
    deep = []
    for _ in range(400):
        deep = [deep]
    change = lambda r: r["entries"][1]["judgements"][0]["finding"].update(evidence={"a": deep})
    file.write_bytes(forged(judge(asked, trial), change))
    result = receive(asked, file)
    assert result.exit_code == 0
    assert len(encode(result)) < 10_000


def test_a_failure_there_is_a_failure_here(pulls, tmp_path):
    asked = ask(pulls, {"submissions/m/submission.toml": b"no"})
    file = tmp_path / "result.json"
    file.write_bytes(encode(judge(asked, trial)))
    assert receive(asked, file).exit_code == 1
    file.write_bytes(forged(judge(asked, trial), lambda r: r["entries"][1].update(verdict="PASS")))
    assert receive(asked, file).exit_code == 3
