"""Each cheat is caught by the checks that should catch it and by no other; each honest twin passes.

A folder of tests/attacks holds `expected.toml` and whole submissions: `cheat/`, `honest/`, or only the
latter where the legal thing is what looks odd. See docs/attacks.md.
"""

import contextlib
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from checks import ORDER
from checks.contract import Status
from harness import manifest, ruleset, sandbox, verdict
from harness.commands.show import Quiet
from harness.errors import ManifestError
from harness.process import LOG_CAP_BYTES
from harness.run import Run
from tests import tiny

ATTACKS = Path(__file__).parent / "attacks"
QUICK = Path(__file__).parent / "rulesets" / "quick.toml"
KEYS = {
    "says": "one sentence",
    "source": "pull requests, or the names used in docs/attacks.md",
    "caught_by": "the checks that FAIL, all of them and no other",
    "one_of": "checks of which exactly one FAILs: the first question decides which",
    "also": "checks that FAIL or not, depending on which positions are drawn",
    "consequences": "checks that may be left with too little to judge: ERROR or NOT-RUN",
    "messages": "check -> regular expression found in its message",
    "phases": "budgets of the ruleset that are changed, so that waiting for them is short",
    "needs": "the sandbox guarantee without which the cheat escapes",
    "refused": "regular expression for the one sentence that refuses the manifest",
}
FOLDERS = sorted(path.parent for path in ATTACKS.glob("*/expected.toml"))


def expected(folder):
    return tomllib.loads((folder / "expected.toml").read_text("utf-8"))


def name(folder):
    return folder.name


CHEATS = [folder for folder in FOLDERS if "caught_by" in expected(folder)]
REFUSED = [folder for folder in FOLDERS if "refused" in expected(folder)]
HONEST = [folder for folder in FOLDERS if (folder / "honest").is_dir()]


@pytest.fixture
def judge(tiny_data, tmp_path):
    """Return a function that runs one submission of an attack and returns (run, report)."""

    def run_and_report(folder, which):
        run = Run.create(
            root=tmp_path,
            submission=folder / which,
            rules=rules(expected(folder).get("phases", {})),
            data=tiny_data,
            seeds=(1,),
            baseline_text=None,
        )
        run.execute(Quiet(), {"OPENBLAS_NUM_THREADS": "1"})  # numpy loads sooner
        return run, verdict.report(run)

    return run_and_report


def rules(budgets):
    """Return the quick ruleset with some budgets changed, so that waiting for a deadline is short."""
    loaded = ruleset.load(str(QUICK))
    text = loaded.text
    for phase, seconds in budgets.items():
        text, count = re.subn(rf"(?m)^{phase} = .*$", f"{phase} = {seconds}", text)
        assert count == 1, f"{phase} is no budget of {QUICK.name}"
    return ruleset.Loaded(
        ruleset=ruleset.parse(text, QUICK.name),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        baseline_text=None,
    )


def by_status(report):
    required = [f for f in report.findings if f.id in report.required]
    return {
        status: {finding.id for finding in required if finding.status is status}
        for status in Status
    }


@pytest.mark.parametrize("folder", CHEATS, ids=name)
def test_the_cheat_is_caught_by_exactly_the_right_checks(folder, judge):
    wanted = expected(folder)
    skip_without(wanted.get("needs"))
    run, report = judge(folder, "cheat")
    found = by_status(report)
    said = {finding.id: f"{finding.status} {finding.message}" for finding in report.findings}
    one_of = set(wanted.get("one_of", []))
    assert len(found[Status.FAIL] & one_of) == bool(one_of), said
    certain = found[Status.FAIL] - one_of - set(wanted.get("also", []))
    assert certain == set(wanted["caught_by"]), said
    unsettled = found[Status.ERROR] | found[Status.NOT_RUN]
    assert unsettled <= set(wanted.get("consequences", [])), said
    assert (report.verdict, report.exit_code) == (Status.FAIL, 1)
    for check in found[Status.FAIL] & set(wanted["messages"]):
        assert re.search(wanted["messages"][check], said[check]), said[check]
    assert not processes_of(run.folder)
    if "bytes.artifact" in unsettled:
        assert not (run.seed_folder(1) / "sealed").exists()


@pytest.mark.parametrize("folder", HONEST, ids=name)
def test_the_honest_twin_passes(folder, judge):
    run, report = judge(folder, "honest")
    said = {f.id: f"{f.status} {f.message}" for f in report.findings if f.status != "PASS"}
    assert (report.verdict, report.exit_code) == (Status.PASS, 0), said
    assert report.seeds[0].tokens == tiny.VAL_TOKENS
    for log in run.folder.rglob("logs/*.std*"):
        assert log.stat().st_size <= LOG_CAP_BYTES + 100


@pytest.mark.parametrize("folder", REFUSED, ids=name)
def test_the_manifest_is_refused_in_one_sentence(folder):
    with pytest.raises(ManifestError, match=expected(folder)["refused"]) as refused:
        manifest.load(folder / "cheat")
    assert refused.value.exit_code == 2
    assert "submission.toml" in str(refused.value)


def skip_without(guarantee):
    """Skip an attack that only a sandbox guarantee stops, where this machine does not hold it."""
    if guarantee is None:
        return
    held = {g.name: g for g in sandbox.guarantees((), train_hidden=True)}[guarantee]
    if held.state != "enforced":
        pytest.skip(f"escapes here: the guarantee {guarantee!r} is {held.state}: {held.means}")


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_the_corpus_is_described(folder):
    wanted = expected(folder)
    assert set(wanted) <= set(KEYS)
    assert wanted["says"].endswith(".")
    assert wanted["source"]
    assert (folder / "cheat").is_dir() == ("caught_by" in wanted or "refused" in wanted)
    assert ("caught_by" in wanted) == ("messages" in wanted)
    for key in ("caught_by", "one_of", "also", "consequences", "messages"):
        assert set(wanted.get(key, [])) <= set(ORDER)
    page = (ATTACKS.parents[1] / "docs" / "attacks.md").read_text("utf-8")
    assert row(folder) in page.splitlines(), row(folder)


def row(folder):
    """Return the attack's line in the table of docs/attacks.md."""
    wanted = expected(folder)
    caught = ", ".join(f"`{check}`" for check in wanted.get("caught_by", []))
    caught = caught or " or ".join(f"`{check}`" for check in wanted.get("one_of", [])) or "-"
    caught = "exit 2" if "refused" in wanted else caught
    if "needs" in wanted:
        caught += f" where `{wanted['needs']}` is held"
    return f"| `{folder.name}` | {wanted['says']} | {caught} | {', '.join(wanted['source'])} |"


def processes_of(folder):
    """Return the processes that were started in a folder and still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append((entry / "cmdline").read_bytes())
    return found
