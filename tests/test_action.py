"""The action and the example workflows: read by a YAML parser, and held to what keeps a pull request out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.commands.gate import gate
from tests.judged import ROOT

ACTION = ROOT / "action.yml"
EVALUATE = ROOT / "docs" / "workflows" / "gate-evaluate.yml"
REPORT = ROOT / "docs" / "workflows" / "gate-report.yml"
ALL = [ACTION, EVALUATE, REPORT, ROOT / ".github" / "workflows" / "ci.yml"]


def read(path):
    # YAML 1.1 reads the key `on` as true.
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path):
    whole = read(path)
    if path == ACTION:
        return whole["runs"]["steps"]
    return [step for job in whole["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_and_no_shell_line_is_pasted_into(path):
    for step in steps(path):
        if "uses" in step:
            assert step["uses"] == "./" or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_shell_lines_are_shell(path):
    for step in steps(path):
        if "run" in step:
            done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True)
            assert done.stderr == ""


def test_the_evaluating_job_can_only_read_and_has_the_base_in_its_tree():
    whole = read(EVALUATE)
    assert list(whole[True]) == ["pull_request"]
    assert whole["permissions"] == {"contents": "read"}
    assert "secrets." not in EVALUATE.read_text()
    (job,) = whole["jobs"].values()
    assert "permissions" not in job
    (checkout,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert checkout["with"]["fetch-depth"] == 0


def test_the_reporting_job_runs_from_the_default_branch_and_checks_out_no_head():
    whole = read(REPORT)
    assert list(whole[True]) == ["workflow_run"]
    assert whole[True]["workflow_run"]["workflows"] == [read(EVALUATE)["name"]]
    assert whole["permissions"] == {}
    (job,) = whole["jobs"].values()
    assert {k for k, v in job["permissions"].items() if v == "write"} == {
        "pull-requests",
        "statuses",
    }
    (checkout,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert "ref" not in checkout["with"]
    (fetch,) = [
        s for s in job["steps"] if s.get("uses", "").startswith("actions/download-artifact@")
    ]
    assert fetch["continue-on-error"] is True
    (checked,) = [s for s in job["steps"] if s.get("uses") == "./"]
    assert checked["with"]["head"] == "${{ github.event.workflow_run.head_sha }}"
    assert checked["with"]["result"].endswith("/received/result.json")
    # The status is set whatever happened before, and only exit code 0 is a success.
    last = job["steps"][-1]
    assert last["if"].startswith("always()")
    assert "0) state=success" in last["run"]


@pytest.mark.parametrize(
    ("code", "state"),
    [("0", "success"), ("1", "failure"), ("2", "error"), ("3", "error"), ("", "error")],
)
def test_only_a_pass_is_a_success(tmp_path, code, state):
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\necho "$@"\n')
    gh.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", steps(REPORT)[-1]["run"]],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "CODE": code,
            "REPOSITORY": "o/r",
            "HEAD": "1",
            "RUN": "u",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"state={state} " in done.stdout


def judging(tmp_path, script, **inputs):
    """Run the action's own shell lines with a judge of the test's in place of ours."""
    judge = tmp_path / "harness-venv" / "bin" / "harness"
    judge.parent.mkdir(parents=True)
    judge.write_text(f"#!{sys.executable}\nimport sys, pathlib\n{script}\n")
    judge.chmod(0o755)
    (step,) = [s for s in steps(ACTION) if s.get("id") == "gate"]
    assert set(step["env"]) == {"BASE", "HEAD", "REPOSITORY", "RESULT"}
    outputs = tmp_path / "outputs"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        env={
            "PATH": "/usr/bin:/bin",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "GITHUB_OUTPUT": str(outputs),
            **{"BASE": "b", "HEAD": "h", "REPOSITORY": ".", "RESULT": "", **inputs},
        },
        capture_output=True,
        text=True,
    )
    return done, outputs.read_text()


def test_the_action_hands_over_what_it_was_given_and_how_it_ended(tmp_path):
    script = "print(sys.argv[1:]); out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1]); out.mkdir()\n"
    script += "(out / 'annotations.txt').write_text('::error::x'); sys.exit(1)"
    done, outputs = judging(tmp_path, script, HEAD="$(touch x); `id`", RESULT="a b.json")
    assert done.returncode == 1
    given = eval(done.stdout.splitlines()[0])  # a list that this test's own judge printed
    assert given[given.index("--head") + 1] == "$(touch x); `id`"
    assert given[given.index("--result") + 1] == "a b.json"
    assert done.stdout.splitlines()[1] == "::error::x"
    assert "exit-code=1\n" in outputs
    options = {option for parameter in gate.params for option in parameter.opts}
    assert {word for word in given if word.startswith("--")} <= options


def test_a_judge_that_falls_over_is_no_success(tmp_path):
    done, outputs = judging(tmp_path, "sys.exit(3)")
    assert done.returncode == 3
    assert "exit-code=3\n" in outputs
    assert "--result" not in done.stdout


def test_example_workflows_are_named_in_the_docs():
    page = (ROOT / "docs" / "gate.md").read_text("utf-8")
    for path in (EVALUATE, REPORT):
        assert f"workflows/{path.name}" in page
    assert Path("docs/workflows").name in page
