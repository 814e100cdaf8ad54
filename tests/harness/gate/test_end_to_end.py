"""Ten pull requests on one repository, through the command as CI runs it: one clean, nine each wrong once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import junitparser
import pytest

from tests.harness.audit.written import write_record
from tests.harness.gate.pulls import LINK, Files, Pulls, folder_files
from tests.judged import QUICK, ROOT, SUBMISSIONS, judge

SCORE = "return np.log(self.total_V[before_T] + 2.0) - np.log(count_T)"
PREDICT = "return np.log(self.counts_VV[u] + 2.0 * self.unigram_V) - np.log(self.total_V[u] + 2.0)"
MINE = "submissions/mine"


def bigram(
    tmp_path: Path, *, manifest: tuple[str, str] = ("", ""), **code: str
) -> dict[str | bytes, bytes]:
    """Return the bigram's files, with some text of its code or manifest replaced."""
    files = folder_files(SUBMISSIONS / "bigram", MINE)
    text = files[f"{MINE}/bigram.py"].decode()
    for old, new in (
        (SCORE, code.get("score")),
        (PREDICT, code.get("predict")),
        ("import sys\n", code.get("top")),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new or old)
    toml = files[f"{MINE}/submission.toml"].decode()
    assert manifest[0] in toml
    changed = toml.replace(*manifest) if manifest[0] else toml
    return {
        **files,
        f"{MINE}/bigram.py": text.encode(),
        f"{MINE}/submission.toml": changed.encode(),
    }


@dataclass(frozen=True)
class Pull:
    """One pull request, and what the gate says of it."""

    files: Files
    exit_code: int = 1
    broken: tuple[str, ...] = ()
    """Ids of the findings that are FAIL."""
    says: str = ""
    annotated: str = field(default="")


def pull(name: str, tmp_path: Path) -> Pull:
    """Return one of the ten."""
    record = folder_files(write_record(tmp_path / "2026-04-03_mine"), "records/2026-04-03_mine")
    clean = bigram(tmp_path)
    scaled, row = (f"return ({text.removeprefix('return ')})" for text in (SCORE, PREDICT))
    return {
        "clean": lambda: Pull({**clean, **record}, exit_code=0),
        "peeks": lambda: Pull(
            bigram(tmp_path, score=f"{scaled} * (1.0 - 0.1 * (block_T % 2))"),
            broken=("order.blind", "norm.target"),
            says="order.blind",
        ),
        "not_normalised": lambda: Pull(
            bigram(tmp_path, score=f"{scaled} * 0.97", predict=f"{row} * 0.97"),
            broken=("norm.sum",),
            says="sum",
        ),
        "over_the_cap": lambda: Pull(
            {
                **bigram(
                    tmp_path, manifest=('code = ["bigram.py"]', 'code = ["bigram.py", "table.bin"]')
                ),
                f"{MINE}/table.bin": b"\1" * 300_000,
            },
            broken=("submission.files", "bytes.artifact"),
            says="over the cap",
        ),
        "module_left_out": lambda: Pull(
            {**bigram(tmp_path, top="import sys\n\nimport extra\n"), f"{MINE}/extra.py": b""},
            broken=("submission.imports",),
            says="extra",
            annotated=f"file={MINE}/bigram.py,line=5",
        ),
        "bad_manifest": lambda: Pull(
            bigram(tmp_path, manifest=("block_tokens", "blocktokens")),
            broken=("submission.manifest",),
            says="block_tokens",
            annotated=f"file={MINE}/submission.toml",
        ),
        "lowers_the_threshold": lambda: Pull(
            {**record, "rules/quick.toml": QUICK.read_bytes().replace(b"0.005", b"0.0")},
            broken=("gate.scope",),
            says="rules/quick.toml is changed",
        ),
        "edits_the_workflow": lambda: Pull(
            {**record, ".github/workflows/gate.yml": b"on: pull_request_target\n"},
            broken=("gate.scope",),
            says=".github/workflows/gate.yml is changed",
        ),
        "lies_in_its_claims": lambda: Pull(
            folder_files(
                write_record(tmp_path / "lie", claims={"val_bpb": 1.01}), "records/2026-04-03_lie"
            ),
            broken=("claims.score",),
            says="1.01",
            annotated="file=records/2026-04-03_lie/submission.json",
        ),
        "links_out": lambda: Pull(
            {**record, "records/2026-04-03_mine/weights": (LINK, b"/etc/passwd")},
            broken=("gate.scope",),
            says="is a symbolic link",
        ),
    }[name]()


NAMES = (
    "clean", "peeks", "not_normalised", "over_the_cap", "module_left_out", "bad_manifest",
    "lowers_the_threshold", "edits_the_workflow", "lies_in_its_claims", "links_out",
)  # fmt: skip


@pytest.fixture(scope="module")
def pulls(tmp_path_factory):
    """The contest's repository."""
    made = Pulls(tmp_path_factory.mktemp("contest") / "repo.git")
    rules = QUICK.read_text().replace('baseline = "quick.toml"', 'baseline = ""')
    made.commit(
        "main",
        {
            "README.md": b"A contest.\n",
            "gate.toml": b'schema = 1\nruleset = "rules/quick.toml"\n',
            "rules/quick.toml": rules.encode(),
            ".github/workflows/gate.yml": b"on: pull_request\n",
            "records/2026-01-01_old/submission.json": b"{}\n",
        },
    )
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_pull_request_gets_its_verdict_in_every_format(pulls, tmp_path, name):
    asked = pull(name, tmp_path)
    head = pulls.commit(name, asked.files, parent="main")
    out, summary = tmp_path / "out", tmp_path / "summary.md"
    done = judge(
        "gate", "--base", "main", "--head", name, "--repo", pulls.folder, "--out", out,
        "--summary", summary, cwd=tmp_path, NO_COLOR="1",
    )  # fmt: skip
    assert done.returncode == asked.exit_code, done.stdout + done.stderr
    result = json.loads((out / "result.json").read_text())
    jsonschema.validate(result, json.loads((ROOT / "docs/schema/result-1.json").read_text()))
    assert result["commits"]["head"] == head
    assert result["exit_code"] == asked.exit_code
    judgements = [j for entry in result["entries"] for j in entry["judgements"]]
    failed = [j["finding"]["id"] for j in judgements if j["finding"]["status"] == "FAIL"]
    assert sorted(failed) == sorted(asked.broken)
    wrong = [j["finding"]["id"] for j in judgements if j["finding"]["status"] == "ERROR"]
    assert wrong == []
    # What is broken stands in each of the formats, and nothing is broken in any where nothing is.
    texts = {path.name: path.read_text() for path in out.iterdir()}
    assert texts.pop("summary.md") == summary.read_text()
    sarif = json.loads(texts["result.sarif"])["runs"][0]["results"]
    assert sorted(r["ruleId"] for r in sarif if r["level"] == "error") == sorted(asked.broken)
    failures = [case for suite in junitparser.JUnitXml.fromfile(str(out / "junit.xml")) for case in suite
                if any(isinstance(r, junitparser.Failure) for r in case.result)]  # fmt: skip
    assert sorted(case.name for case in failures) == sorted(asked.broken)
    errors = [line for line in texts["annotations.txt"].splitlines() if line.startswith("::error")]
    assert len(errors) == len(asked.broken)
    assert asked.annotated in texts["annotations.txt"]
    for check in asked.broken:
        assert check in done.stdout
        assert check in texts["comment.md"]
        assert check in summary.read_text()
    assert asked.says in texts["result.json"]
    # A submission's training and margin are still to come, and the result says with which command.
    if any(entry["kind"] == "submission" for entry in result["entries"]):
        assert "harness run" in texts["comment.md"]
        assert "harness run" in done.stdout


def test_the_result_of_the_first_job_is_checked_by_the_second(pulls, tmp_path):
    record = folder_files(write_record(tmp_path / "2026-04-03_r"), "records/2026-04-03_r")
    pulls.commit("twice", record, parent="main")
    asked = ("gate", "--base", "main", "--head", "twice", "--repo", pulls.folder, "--json")
    first = judge(*asked, cwd=tmp_path)
    left = tmp_path / "result.json"
    left.write_text(first.stdout)
    assert judge(*asked, "--result", left, cwd=tmp_path).returncode == 0
    assert judge(*asked, "--result", tmp_path / "none", cwd=tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--base", "main", "--head", "nowhere"),
            "--head 'nowhere': no such commit here; fetch it",
        ),
        (
            ("--base", "main", "--head", "main"),
            "adds no submission and no record below submissions/",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(pulls, tmp_path, arguments, words):
    done = judge("gate", *arguments, "--repo", pulls.folder, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_folder_that_is_no_repository(tmp_path):
    done = judge("gate", "--base", "a", "--head", "b", "--repo", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "not a git repository" in done.stderr
