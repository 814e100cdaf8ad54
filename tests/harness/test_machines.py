"""Four kinds of machines, and what the judge holds on each: one table, here and in docs/sandbox.md.

The kinds are simulated (tests/machines.py), by taking away from this machine, as root, what they lack.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.errors import EXIT_JUDGE, EXIT_PASS
from harness.sandbox.guarantees import KNOWN
from harness.sandbox.mechanisms import SCOPE_ABI
from tests import cells, machines
from tests.judged import QUICK, ROOT, SUBMISSIONS, environment

PAGE = ROOT / "docs" / "sandbox.md"
ENFORCED, EFFORT, WATCHED = "enforced", "best effort", "watched"
CONTAINER, USER, MACHINE, RUNNER = machines.ROWS
TABLE = {
    #          level         network   files     processes memory    ipc       clock     channel   environment
    CONTAINER: ("landlock", ENFORCED, ENFORCED, ENFORCED, WATCHED, EFFORT, ENFORCED, ENFORCED, ENFORCED),
    USER: ("namespaces", ENFORCED, ENFORCED, ENFORCED, WATCHED, ENFORCED, ENFORCED, ENFORCED, ENFORCED),
    MACHINE: ("namespaces", *[ENFORCED] * 8),
    RUNNER: ("landlock", ENFORCED, EFFORT, ENFORCED, WATCHED, EFFORT, ENFORCED, ENFORCED, ENFORCED),
}  # fmt: skip


def rendered():
    """Return the table as the lines of the page."""
    lines = [("", *TABLE), tuple("-" * 3 for _ in range(len(TABLE) + 1))]
    for place, name in enumerate(("level", *KNOWN)):
        lines.append((name, *(row[place] for row in TABLE.values())))
    return ["| " + " | ".join(line) + " |" for line in lines]


def on(row, *command, folder):
    """Run a command on a machine of this kind; skip where that cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("only root can put on another machine")
    found = cells.mechanisms()
    if row == MACHINE and (found.level() != "namespaces" or not found.group_version):
        pytest.skip("this is not root on a machine of its own")
    if row == USER and _restricted():
        pytest.skip("AppArmor keeps users from making namespaces here")
    if row in (CONTAINER, RUNNER) and found.landlock_abi < SCOPE_ABI:
        pytest.skip("the table is of Linux 6.12 and later")
    done = subprocess.run(
        [sys.executable, str(Path(machines.__file__)), row, "--", sys.executable, "-m", "harness"]
        + [str(word) for word in command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment({"HOME": str(folder), "TMPDIR": str(folder)}),
        timeout=120,
    )
    if done.returncode == machines.CANNOT:
        pytest.skip(f"this machine cannot stand in for another: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _restricted():
    setting = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    return setting.exists() and setting.read_text().strip() == "1"


@pytest.fixture
def place():
    """A folder that the row's user can reach and write to, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="harness-machine-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_the_page_shows_this_table():
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index(rendered()[0])
    assert lines[start : start + len(rendered())] == rendered()


@pytest.mark.parametrize("row", TABLE)
def test_the_doctor_says_what_the_table_says(row, place):
    done = on(row, "doctor", "--json", folder=place)
    said = json.loads(done.stdout)
    held = {line["name"]: line["state"] for line in said["guarantees"]}
    assert (said["level"], *(held[name] for name in KNOWN)) == TABLE[row]
    required = [line["state"] for line in said["guarantees"] if line["required"]]
    everything = all(state == ENFORCED for state in required)
    assert done.returncode == (EXIT_PASS if everything else EXIT_JUDGE)
    # What is not enforced has a remedy.
    if WATCHED in TABLE[row]:
        assert any(one["what"].startswith("memory") for one in said["missing"])
    if said["level"] != "namespaces":
        assert any(one["what"].startswith("namespaces") for one in said["missing"])


@pytest.mark.parametrize(
    ("row", "closed"),
    [*((row, False) for row in TABLE), (CONTAINER, True)],
    ids=[*TABLE, "root in a container, in a closed folder"],
)
def test_a_submission_is_judged_there(row, closed, place, tiny_data):
    """In a folder that others may reach, and in one below a folder that is closed, as /root is."""
    data = shutil.copytree(tiny_data.folder, place / "data")
    out = place / "work" / "runs"
    out.mkdir(parents=True)
    out.chmod(0o777)
    out.parent.chmod(0o700 if closed else 0o755)
    done = on(
        *(row, "run", SUBMISSIONS / "bigram", "--ruleset", QUICK, "--data", data),
        *("--out", out, "--seeds", "1", "--json"),
        folder=place,
    )
    assert done.returncode == EXIT_PASS, done.stdout + done.stderr
    (run,) = out.iterdir()
    report = json.loads((run / "report.json").read_text())
    held = {line["name"]: line["state"] for line in report["guarantees"]}
    # This ruleset requires no guarantee: the slow way of emptying the page cache is not taken.
    expected = dict(zip(KNOWN, TABLE[row][1:], strict=True)) | {"ipc": held["ipc"]}
    assert held == expected
    assert not [path for path in place.iterdir() if path.name not in ("data", "work")]
    assert not list(run.rglob("work"))
