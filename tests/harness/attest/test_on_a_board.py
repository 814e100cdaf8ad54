"""A signed run on a board; here, where the run is made."""

import json
import shutil

import pytest

from harness.errors import EXIT_PASS
from tests.harness.attest.conftest import write_attestation
from tests.harness.report.pages import inspected


@pytest.fixture
def runs(signed_run, pairs, tmp_path):
    """A signed run, the same with a changed score, one that somebody else signed, one that nobody did."""
    root = tmp_path / "runs"
    for name in ("changed", "good", "other", "unsigned"):
        shutil.copytree(signed_run, root / name)
    report = json.loads((root / "changed" / "report.json").read_text())
    report["seeds"][0]["nats_per_token"] = 0.5
    (root / "changed" / "report.json").write_text(json.dumps(report))
    write_attestation(root / "other", pairs["other"].private)
    (root / "unsigned" / "attestation.dsse.json").unlink()
    return root


def test_only_what_verifies_is_ranked(desk, runs, public, quick_rules):
    asked = ["board", runs, "--key", public, "--ruleset", quick_rules]
    status, out, err = desk(*asked, "--json")
    assert (status, err) == (EXIT_PASS, "")
    found = json.loads(out)
    (entry,) = found["entries"]
    assert [key["file"] for key in entry["signed_by"]] == [public.name]
    reasons = {each["place"]: each["reason"] for each in found["left_out"]}
    assert set(reasons) == {"runs/changed", "runs/other", "runs/unsigned"}
    for reason in reasons.values():
        assert reason.startswith("not verified: ")
        assert str(runs) not in reason
    assert "verify.regrade" in reasons["runs/changed"]
    assert "verify.signature" in reasons["runs/other"]
    assert "verify.signature" in reasons["runs/unsigned"]


def test_without_keys_copies_are_one_run_and_nobody_vouches(desk, runs, quick_rules):
    found = json.loads(desk("board", runs, "--ruleset", quick_rules, "--format", "json")[1])
    assert len(found["entries"]) == 1
    assert found["keys"] == found["entries"][0]["signed_by"] == []
    assert {each["reason"] for each in found["left_out"] if each["place"] != "runs/changed"} == {
        "the same run as runs/good"
    }


def test_a_page_is_written_and_names_no_path_of_this_machine(
    desk, runs, public, quick_rules, tmp_path
):
    asked = ["board", runs, "--key", public, "--ruleset", quick_rules]
    for style in ("text", "markdown", "html", "json"):
        target = tmp_path / f"board.{style}"
        assert desk(*asked, "--format", style, "--out", target) == (EXIT_PASS, "", "")
        assert str(tmp_path) not in target.read_text("utf-8")
    assert not inspected((tmp_path / "board.html").read_text("utf-8")).faults
    assert "choose a writable place" in desk.refuses(*asked, "--out", tmp_path / "no" / "where")
    assert "give its file with --ruleset" in desk.refuses("board", runs)
