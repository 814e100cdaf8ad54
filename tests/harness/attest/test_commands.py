"""`harness attest`, `verify` and `regrade` at a terminal."""

import json
import sys

import click
import pytest

from harness.attest.verification import ATTESTATION
from harness.commands import attest as attest_command
from tests.harness.attest.conftest import PASSPHRASE, write_report
from tests.harness.attest.test_regrading import CHALLENGE, rewrite, rewrite_report, setter
from tests.harness.attest.test_verification import restate


def test_from_a_run_to_a_signed_statement_and_back(desk, copied, pairs, public):
    (copied / ATTESTATION).unlink()
    status, out, err = desk("attest", copied, "--key", pairs["p256"].private)
    assert (status, err) == (0, "")
    assert out.startswith(f"{copied / ATTESTATION}: ")
    for named in (copied, copied / "report.json", copied / ATTESTATION):
        status, out, err = desk("verify", named, "--key", pairs["p256"].public)
        assert (status, err) == (0, "")
        assert (
            out.splitlines()[-1]
            == "PASS     report.json is what its evidence gives; signed by a key you gave"
        )
    status, out, err = desk("verify", copied, "--key", public)
    assert status == 1
    assert out.splitlines()[-1] == "FAIL     not what it claims: verify.signature"


def test_out_is_where_it_goes_and_nothing_else_is_written_over(
    desk, copied, pairs, public, tmp_path
):
    before = (copied / ATTESTATION).read_bytes()
    target = tmp_path / "mine.json"
    key = pairs["ed25519"].private
    assert desk("attest", copied, "--key", key, "--out", target)[0] == 0
    assert desk("attest", copied, "--key", key, "--out", target)[0] == 0
    assert (copied / ATTESTATION).read_bytes() == before
    assert desk("verify", copied, "--key", public, "--attestation", target)[0] == 0
    for taken in (copied / "report.json", copied, tmp_path):
        said = desk.refuses("attest", copied, "--key", key, "--out", taken)
        assert "is there and is no attestation; choose another place with --out" in said
    said = desk.refuses("attest", copied, "--key", key, "--out", tmp_path / "no" / "such")
    assert "choose a writable place with --out" in said
    assert "no run.json beside it" in desk.refuses("verify", target)


def test_a_report_that_the_evidence_does_not_give_is_not_signed(desk, copied, pairs):
    (copied / ATTESTATION).unlink()
    rewrite_report(copied, setter("seeds", 0, "nats_per_token", value=1.0))
    status, out, err = desk("attest", copied, "--key", pairs["ed25519"].private)
    assert (status, out) == (1, "")
    assert "not signed: report.json is not what its evidence gives: 1 place differs" in err
    assert "seeds[0].nats_per_token: 1.0 -> 4." in err
    assert not (copied / ATTESTATION).exists()
    status, out, _ = desk("regrade", copied)
    assert status == 1
    assert "FAIL     report.json is not what its evidence gives" in out
    assert "seeds[0].nats_per_token: 1.0 -> 4." in out
    status, out, _ = desk("verify", copied)
    assert status == 1
    assert "seeds[0].nats_per_token: 1.0 -> 4." in out


def test_a_failing_run_is_signed_as_such(desk, copied, pairs):
    rewrite(copied / "seeds/1/train.json", setter("train", "wall_s", value=31.0))
    write_report(copied)
    status, out, _ = desk("attest", copied, "--key", pairs["ed25519"].private)
    assert status == 0
    assert "verdict FAIL" in out
    assert desk("regrade", copied)[0] == 1
    assert desk("verify", copied, "--key", pairs["ed25519"].public)[0] == 0


def test_what_is_not_signed(desk, copied, pairs, tmp_path):
    key = pairs["ed25519"].private
    assert "run.json: no such file" in desk.refuses("attest", tmp_path / "absent", "--key", key)
    challenge = (copied / CHALLENGE).read_bytes()
    (copied / CHALLENGE).unlink()
    write_report(copied)
    said = desk.refuses("attest", copied, "--key", key)
    assert (
        f"not finished (1 of 1 seeds to do); finish it with `harness run --resume {copied}`" in said
    )
    (copied / CHALLENGE).write_bytes(challenge)
    rewrite(copied / "isolation.json", lambda record: record.pop("machines") and None)
    write_report(copied)
    assert "did not note on which machine" in desk.refuses("attest", copied, "--key", key)
    (copied / "report.json").unlink()
    assert "report.json: no such file" in desk.refuses("attest", copied, "--key", key)
    assert "--key" in desk("attest", copied)[2]


def test_passphrases(desk, copied, encrypted, monkeypatch):
    said = desk.refuses("attest", copied, "--key", encrypted)
    assert "is encrypted; name the variable with its passphrase with --passphrase-env" in said
    said = desk.refuses("attest", copied, "--key", encrypted, "--passphrase-env", "SECRET")
    assert "--passphrase-env SECRET: no such variable" in said
    monkeypatch.setenv("SECRET", "wrong")
    said = desk.refuses("attest", copied, "--key", encrypted, "--passphrase-env", "SECRET")
    assert "cannot be opened with this passphrase" in said
    monkeypatch.setenv("SECRET", PASSPHRASE.decode())
    assert desk("attest", copied, "--key", encrypted, "--passphrase-env", "SECRET")[0] == 0
    asked = []

    def prompt(text, **options):
        asked.append((text, options["hide_input"]))
        return PASSPHRASE.decode()

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(attest_command.click, "prompt", prompt)
    assert desk("attest", copied, "--key", encrypted)[0] == 0
    assert asked == [(f"passphrase of {encrypted}", True)]
    assert click.prompt is prompt


def test_each_sentence_and_its_code(desk, copied, public):
    """A report of a newer schema; a broken signature."""
    report = (copied / "report.json").read_bytes()
    restate(copied, b'"verdict":"PASS"', b'"verdict":"FAIL"')
    status, out, err = desk("verify", copied, "--key", public)
    assert (status, err) == (1, "")
    assert "FAIL     verify.signature" in out
    assert "no signature of the key given; it was changed, or somebody else signed it" in out
    (copied / "report.json").write_bytes(
        report.replace(b'"schema_version": "1.', b'"schema_version": "1.9')
    )
    for command in ("verify", "regrade"):
        said = desk.refuses(command, copied)
        assert "which this harness reads; install a newer harness" in said


def test_json(desk, copied, public, pairs):
    status, out, _ = desk("attest", copied, "--key", pairs["ed25519"].private, "--json")
    said = json.loads(out)
    assert (status, said["verdict"], said["attestation"]) == (0, "PASS", str(copied / ATTESTATION))
    assert (
        json.loads((copied / ATTESTATION).read_text())["signatures"][0]["keyid"]
        == said["signed_by"]
    )
    status, out, _ = desk("verify", copied, "--key", public, "--json")
    said = json.loads(out)
    assert (status, said["exit_code"], said["ok"]) == (0, 0, True)
    assert len(said["signed_by"]) == 1
    assert [each["id"] for each in said["findings"]] == [
        "verify.schema", "verify.signature", "verify.statement", "verify.evidence", "verify.regrade",
    ]  # fmt: skip
    rewrite_report(copied, setter("nats_per_token_mean", value=1.0))
    status, out, _ = desk("regrade", copied, "--json")
    said = json.loads(out)
    assert (status, said["exit_code"], said["equal"], said["verdict"]) == (1, 1, False, "PASS")
    assert [each["path"] for each in said["differences"]] == ["nats_per_token_mean"]
    assert said["differences"][0]["stored"] == "1.0"


@pytest.mark.parametrize("command", ["verify", "regrade"])
def test_words_of_a_report_do_not_act_on_a_terminal(desk, copied, command):
    (copied / ATTESTATION).unlink()
    rewrite_report(copied, setter("verdict_message", value="\x1b[2J::error::gone\n\u202e"))
    rewrite_report(copied, lambda report: report["challenge_seed"].update({"\x1b]0;x\x07": "1"}))
    status, out, _ = desk(command, copied)
    assert status == 1
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "::error" not in out
    assert "\\x1b[2J" in out or "\\u001b[2J" in out


def test_many_differences_are_counted(desk, copied):
    def change(report):
        for finding in report["findings"]:
            finding["message"] = "x" * 1000
        for finding in report["seeds"][0]["findings"]:
            finding["message"] = "y"

    rewrite_report(copied, change)
    _, out, _ = desk("regrade", copied)
    assert max(map(len, out.splitlines())) < 400
    assert "         and 4 more" in out
