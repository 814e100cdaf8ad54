"""Completion: the scripts, and what a shell is told when somebody presses the key."""

import os
import shutil
import subprocess
import sys

import pytest

from harness.cli import COMMANDS
from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_USAGE
from harness.report.rule_pages import statements
from tests.judged import ROOT, command, environment

HEAVY = {"numpy", "rich", "scipy", "msgspec", "torch"}
LOADED = "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "


def asked(*words, shell="bash"):
    """What is offered for the last of WORDS, and which packages that took."""
    line = {"COMP_WORDS": " ".join(("harness", *words)), "COMP_CWORD": str(len(words))}
    if shell == "fish":
        line["COMP_CWORD"] = words[-1]
    done = subprocess.run(
        [sys.executable, "-c", LOADED + "from harness.cli import main; main()"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment({"_HARNESS_COMPLETE": f"{shell}_complete", **line}),
        timeout=60,
    )
    assert done.returncode == EXIT_PASS, done.stderr
    return done.stdout, {name.split(".")[0] for name in done.stderr.split()}


def offered(*words):
    out, loaded = asked(*words)
    assert not loaded & HEAVY
    return [line.partition(",")[2] for line in out.splitlines()]


def test_commands_come_from_the_table():
    assert offered("") == sorted(COMMANDS)
    assert offered("comp") == ["compare", "completion"]
    assert "--version" in offered("--")


@pytest.mark.parametrize("name", ["board", "compare", "completion", "explain"])
def test_help_loads_none_of_the_heavy_packages(name):
    done = subprocess.run(
        [sys.executable, "-c", LOADED + "from harness.cli import main; main()", name, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        timeout=60,
    )
    assert done.stdout.startswith("Usage: ")
    assert not {module.split(".")[0] for module in done.stderr.split()} & HEAVY


def test_options_and_choices_of_a_command():
    assert set(offered("compare", "--")) == {"--data", "--format", "--json", "--help"}
    assert offered("board", "--format", "") == ["text", "json", "markdown", "html"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    assert offered("data", "b") == ["build"]


def test_ids_of_checks():
    assert offered("explain", "norm.") == ["norm.sum", "norm.target"]
    assert offered("explain", "") == list(statements())


def test_other_shells_are_told_what_each_is():
    assert "probabilities sum to 1" in asked("explain", "norm.s", shell="zsh")[0]
    assert "probabilities sum to 1" in asked("explain", "norm.s", shell="fish")[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_through_the_variable_that_is_answered(desk, shell):
    status, out, _ = desk("completion", shell)
    assert status == EXIT_PASS
    assert f"_HARNESS_COMPLETE={shell}_complete" in out
    assert "_harness_completion" in out


def test_bash_itself_completes(desk, tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (tmp_path / "harness").write_text(f'#!{bash}\nexec {sys.executable} -m harness "$@"\n')
    (tmp_path / "harness").chmod(0o755)
    script = (
        'eval "$(harness completion bash)"; COMP_WORDS=(harness explain norm.); COMP_CWORD=2; '
        '_harness_completion harness; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        capture_output=True,
        text=True,
        env=environment({"PATH": f"{tmp_path}:{os.environ['PATH']}"}),
        timeout=60,
    )
    assert done.stdout == "norm.sum norm.target\n", done.stderr


def test_another_shell_is_a_usage_error(desk):
    assert desk("completion", "tcsh")[0] == EXIT_USAGE
    done = subprocess.run(
        command(), cwd=ROOT, env=environment({"_HARNESS_COMPLETE": "tcsh_complete"}), timeout=60
    )
    assert done.returncode == EXIT_JUDGE
