"""What a reader of somebody's run can be told: each lie has its finding, and none of them is a PASS."""

import base64
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Status
from harness.attest import evidence, signing, statement
from harness.attest.verification import (
    ATTESTATION,
    EVIDENCE,
    REGRADE,
    SCHEMA,
    SIGNATURE,
    STATEMENT,
    locate,
    verify,
)
from harness.errors import HarnessError, UsageError
from tests.harness.attest.conftest import write_attestation, write_report
from tests.harness.attest.test_regrading import (
    CHALLENGE,
    append,
    edit,
    nats,
    raised,
    rewrite,
    rewrite_report,
    setter,
)

ALL = {SCHEMA, SIGNATURE, STATEMENT, EVIDENCE, REGRADE}


def states(found) -> dict[str, str]:
    assert {finding.id for finding in found.findings} == ALL
    return {finding.id.removeprefix("verify."): str(finding.status) for finding in found.findings}


def message(found, check) -> str:
    return next(finding.message for finding in found.findings if finding.id == check)


def test_a_signed_run_is_what_it_claims(signed_run, public, pairs):
    found = verify(signed_run, [public])
    assert set(states(found).values()) == {"PASS"}
    assert (found.ok, found.exit_code) == (True, 0)
    assert found.signed_by == (signing.public_key(public).keyid,)
    assert verify(signed_run, [pairs["other"].public, public]).signed_by == found.signed_by
    assert found.report.verdict is Status.PASS


def test_without_a_key_it_is_consistent_and_says_that_nobody_vouches(signed_run):
    found = verify(signed_run)
    assert states(found) == dict.fromkeys(
        ("schema", "statement", "evidence", "regrade"), "PASS"
    ) | {"signature": "NOT-RUN"}
    assert (found.ok, found.signed_by) == (True, ())
    assert "no --key given: nobody vouches for where this came from" in found.message


def test_without_an_attestation(copied, public):
    (copied / ATTESTATION).unlink()
    found = verify(copied)
    assert (found.exit_code, states(found)["signature"], states(found)["statement"]) == (
        *(0, "NOT-RUN", "NOT-RUN"),
    )
    assert message(found, SIGNATURE) == "no attestation: nobody vouches for where this came from"
    asked = verify(copied, [public])
    assert (asked.ok, asked.exit_code) == (False, 3)


def test_an_attestation_may_lie_elsewhere(copied, public, tmp_path):
    elsewhere = (copied / ATTESTATION).rename(tmp_path / "elsewhere.json")
    assert verify(copied, [public]).exit_code == 3
    assert verify(copied, [public], attestation=elsewhere).ok


def test_a_failing_run_that_is_honest_about_it_verifies(copied, pairs, public):
    rewrite(copied / "seeds/1/train.json", setter("train", "wall_s", value=31.0))
    write_report(copied)
    write_attestation(copied, pairs["ed25519"].private)
    found = verify(copied, [public])
    assert found.ok
    assert found.report.verdict is Status.FAIL
    assert message(found, REGRADE).endswith("verdict FAIL")


# --- lies ---


def lie_in_report(run):
    rewrite_report(run, setter("nats_per_token_mean", value=1.0))


def report_of_another_run(run):
    rewrite_report(run, setter("run_id", value="20260101-000000-another-abcdef"))


def verdict_that_flips(run):
    """Evidence that fails, judged again: every file agrees with every other, but for what was signed."""
    rewrite(run / CHALLENGE, setter("challenge", "blind", 3, "blind_nats", value=9.0))
    write_report(run)


def other_rules(run):
    """A ruleset of one's own, and run.json told of it."""
    text = (run / "ruleset.toml").read_text().replace("cap_bytes = 200_000", "cap_bytes = 900_000")
    (run / "ruleset.toml").write_text(text)
    digest = evidence.digests(run, [])["ruleset.toml"]
    rewrite(run / "run.json", setter("ruleset_sha256", value=digest))
    write_report(run)


def one_step_less(run):
    (run / CHALLENGE).unlink()
    write_report(run)


@pytest.mark.parametrize(
    ("change", "signed", "unsigned"),
    [
        (lie_in_report, {"statement", "regrade"}, {"statement", "regrade"}),
        (report_of_another_run, {"statement", "regrade"}, {"statement", "regrade"}),
        (verdict_that_flips, {"statement"}, set()),
        (other_rules, {"statement"}, set()),
        (one_step_less, {"statement"}, set()),
        (lambda run: append(run / "journal.jsonl", "{}\n"), {"statement"}, set()),
        (lambda run: append(run / "packages.json", " "), {"statement"}, set()),
        (lambda run: nats(run, raised), {"statement", "evidence"}, {"statement", "evidence"}),
        (lambda run: append(run / "ruleset.toml", "#"), {"statement", "evidence"}, {"statement", "evidence"}),
        (edit(CHALLENGE, setter("challenge", "blind", 3, "blind_nats", value=9.0)),
         {"statement", "regrade"}, {"statement", "regrade"}),
        (edit(CHALLENGE, setter("challenge", "blind", 3, "credited_nats", value=9.0)),
         {"statement", "evidence"}, {"statement", "evidence"}),
        (lambda run: append(run / "submission/more.py", "#"), {"evidence"}, {"evidence"}),
        (lambda run: append(run / "seeds/1/sealed/more", "#"), {"evidence"}, {"evidence"}),
    ],
)  # fmt: skip
def test_a_lie_fails_where_it_is_told(copied, public, change, signed, unsigned):
    """Without the attestation, what agrees with itself passes: that is what it cannot find out."""
    change(copied)
    found = verify(copied, [public])
    assert {name for name, state in states(found).items() if state == "FAIL"} == signed
    assert (found.ok, found.exit_code) == (False, 1)
    (copied / ATTESTATION).unlink()
    alone = verify(copied)
    assert {name for name, state in states(alone).items() if state == "FAIL"} == unsigned - {
        "statement"
    }
    if unsigned:
        assert alone.exit_code == 1


def envelope(run, change):
    path = run / ATTESTATION
    said = json.loads(path.read_text())
    said = change(said) or said
    path.write_text(json.dumps(said))


def restate(run, old, new):
    """Change the payload and keep the signature."""

    def change(said):
        text = base64.b64decode(said["payload"])
        assert old in text
        said["payload"] = base64.b64encode(text.replace(old, new)).decode()

    envelope(run, change)


def sign_payload(run, payload, private):
    (run / ATTESTATION).write_bytes(
        signing.sign(payload, signing.private_key(private, lambda: b""))
    )


def test_a_broken_signature_fails_and_its_payload_is_not_read(copied, public):
    restate(copied, b'"verdict":"PASS"', b'"verdict":"FAIL"')
    found = verify(copied, [public])
    assert (states(found)["signature"], states(found)["statement"]) == ("FAIL", "NOT-RUN")
    assert (found.exit_code, found.signed_by) == (1, ())
    assert message(found, STATEMENT) == "not read: its signature is broken"
    restate(copied, b"{", b"[[")
    assert verify(copied, [public]).exit_code == 1


def test_a_signature_by_somebody_else_fails(copied, public, pairs):
    write_attestation(copied, pairs["other"].private)
    keyid = signing.public_key(public).keyid
    envelope(copied, lambda said: said["signatures"][0].update(keyid=keyid))
    found = verify(copied, [public])
    assert (states(found)["signature"], found.exit_code) == ("FAIL", 1)
    assert "no signature of the key given" in message(found, SIGNATURE)
    assert verify(copied, [pairs["other"].public]).ok


def test_signatures_and_keys_that_stand_twice_count_once(copied, public, pairs, tmp_path):
    envelope(copied, lambda said: said["signatures"].extend(said["signatures"] * 3))
    again = Path(shutil.copy(public, tmp_path / "again.pem"))
    found = verify(copied, [public, public, again, pairs["other"].public])
    assert found.ok
    assert len(found.signed_by) == 1


def test_the_attestation_of_another_run_fails(copied, public, pairs):
    """Signed by the right key, about another run."""
    payload = signing.read_envelope(copied / ATTESTATION).payload
    report = json.loads((copied / "report.json").read_text())
    other = payload.replace(report["run_id"].encode(), b"20260101-000000-another-abcdef")
    sign_payload(copied, other, pairs["ed25519"].private)
    found = verify(copied, [public])
    assert (states(found)["signature"], states(found)["statement"]) == ("PASS", "FAIL")
    assert [each.path for each in found.statement_differences] == ["predicate.run_id"]
    assert found.exit_code == 1


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "seeds/1/../../run.json", "\x1b[2J"])
def test_what_a_statement_names_is_never_opened(copied, public, pairs, monkeypatch, name):
    """Digests are of the files that a run has, whatever the statement calls them."""
    outside = copied.parent / "outside"
    os.mkfifo(outside)  # to open it would be to hang
    said = statement.decode(signing.read_envelope(copied / ATTESTATION).payload, "x")
    said.predicate.evidence[name] = "0" * 64
    sign_payload(copied, statement.encode(said), pairs["ed25519"].private)
    found = verify(copied, [public])
    assert [each.path for each in found.statement_differences] == [f"predicate.evidence.{name}"]
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"not json", "not an in-toto statement"),
        (b"[" * 100_000, "not an in-toto statement"),
        (b'{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicate": {}, '
         b'"predicateType": "https://slsa.dev/provenance/v1"}', "predicateType is"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("signed", [True, False])
def test_a_payload_of_something_else_is_refused(copied, public, pairs, payload, says, signed):
    sign_payload(copied, payload, pairs["ed25519"].private)
    with pytest.raises(UsageError) as caught:
        verify(copied, [public] if signed else [])
    assert says in str(caught.value)


def newer(run):
    rewrite_report(run, setter("schema_version", value="1.99"))


def newest(run):
    rewrite_report(run, setter("schema_version", value="2.0"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (newer, "report.json: schema 1.99 is newer than"),
        (newest, "report.json: schema 2.0 is newer than"),
        (lambda run: (run / "report.json").write_text("{"), "report.json: "),
        (lambda run: (run / "report.json").write_text("[" * 100_000), "report.json: "),
        (lambda run: (run / "report.json").write_text('{"schema_version": "1.0"}'), "report.json: "),
        (lambda run: (run / "report.json").unlink(), "report.json: no such file"),
        (lambda run: os.truncate(run / "report.json", evidence.MAX_RECORD_BYTES + 1), "than any judge"),
        (lambda run: os.truncate(run / "run.json", evidence.MAX_RECORD_BYTES + 1), "than any judge"),
        (lambda run: (run / "run.json").write_text("[" * 100_000), "its run.json cannot be read"),
        (lambda run: (run / "run.json").unlink(), "run.json: no such file, or not a plain one"),
        (edit("run.json", setter("seeds", value=[0] * 10_001)), "10001 seeds, more than 10000"),
        (lambda run: (run / ATTESTATION).write_text("{}"), "attestation.dsse.json: not a DSSE envelope"),
        (lambda run: os.truncate(run / ATTESTATION, signing.MAX_ENVELOPE_BYTES + 1), "larger than any"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_usage_error(copied, change, says):
    change(copied)
    with pytest.raises(UsageError) as caught:
        verify(copied)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def link_to(name, target):
    def change(run):
        path = run / name
        path.parent.chmod(0o755)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.symlink_to(target)

    return change


def pipe(name):
    def change(run):
        (run / name).parent.chmod(0o755)
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return change


def kept_elsewhere(run):
    """A link to what it was."""
    (run / CHALLENGE).rename(run.parent / "challenge.json")
    (run / CHALLENGE).symlink_to(run.parent / "challenge.json")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (kept_elsewhere, "seeds/1/challenge.json: a symbolic link, not a file of the run"),
        (link_to("seeds/1/nats.f64", "/dev/zero"), "seeds/1/nats.f64: a symbolic link"),
        (link_to("text.json", "/etc/hostname"), "text.json: a symbolic link"),
        (link_to("submission/more.py", "/dev/zero"), "submission/more.py: a symbolic link"),
        (link_to("seeds/1/sealed/more", "/"), "seeds/1/sealed/more: a symbolic link"),
        (link_to("seeds/1", "/"), "seeds/1: a symbolic link, not a folder"),
        (link_to("submission", "/"), "submission: a symbolic link, not a folder"),
        (pipe("journal.jsonl"), "journal.jsonl: a pipe, socket or device"),
        (pipe("seeds/1/train.json"), "seeds/1/train.json: a pipe, socket or device"),
        (pipe("submission/pipe"), "submission/pipe: a pipe, socket or device"),
        (lambda run: (run / "baseline.toml").mkdir(), "baseline.toml: a folder, not a file of the run"),
        (lambda run: os.truncate(run / CHALLENGE, evidence.MAX_RECORD_BYTES + 1), "more than any judge"),
        (lambda run: os.truncate(run / "seeds/1/nats.f64", 1 << 40), "more than any judge writes"),
        (lambda run: os.truncate(run / "submission/submission.toml", 1 << 40), "more than any submission"),
    ],
)  # fmt: skip
def test_links_pipes_and_endless_files_are_named_and_not_read(copied, public, change, says):
    change(copied)
    found = verify(copied, [public])
    assert (states(found)["evidence"], found.exit_code) == ("FAIL", 1)
    assert says in message(found, EVIDENCE)
    assert states(found)["statement"] == "NOT-RUN"


@pytest.mark.parametrize("name", ["run.json", "report.json", ATTESTATION])
def test_the_first_files_are_no_links_either(copied, public, name):
    (copied / name).rename(copied.parent / name)
    (copied / name).symlink_to(copied.parent / name)
    with pytest.raises(UsageError, match="no such file, or not a plain one"):
        verify(copied, [public])


def test_names_that_are_no_text(copied, public):
    (copied / "submission" / os.fsdecode(b"\xff\xfe")).symlink_to("/")
    said = message(verify(copied, [public]), EVIDENCE)
    assert said.encode().decode() == said


def test_data_that_are_not_here_leave_the_rest_checked(copied, public, tiny_data, pairs):
    rewrite(copied / "run.json", setter("data_folder", value=f"/nowhere/{tiny_data.folder.name}"))
    found = verify(copied, [public])
    assert states(found)["regrade"] == "NOT-RUN"
    assert "name their folder with --data" in message(found, REGRADE)
    found = verify(copied)
    assert found.exit_code == 1  # run.json is not the one that was signed
    (copied / ATTESTATION).unlink()
    assert verify(copied).exit_code == 3
    assert verify(copied, data=tiny_data.folder).exit_code == 0


def test_evidence_that_cannot_be_judged_is_an_error(copied):
    (copied / ATTESTATION).unlink()
    (copied / CHALLENGE).write_text("{")
    found = verify(copied)
    assert (states(found)["evidence"], found.exit_code) == ("ERROR", 3)


def test_an_unfinished_run_is_undecided(copied):
    (copied / ATTESTATION).unlink()
    (copied / CHALLENGE).unlink()
    write_report(copied)
    found = verify(copied)
    assert (states(found)["evidence"], states(found)["regrade"]) == ("NOT-RUN", "PASS")
    assert found.exit_code == 3


EVERYTHING = (
    *("run.json", "ruleset.toml", "isolation.json", "packages.json", "text.json", "journal.jsonl"),
    *("report.json", ATTESTATION, "submission/submission.toml"),
    *(f"seeds/1/{name}.json" for name in ("train", "artifact", "score", "challenge")),
    "seeds/1/nats.f64",
)


@given(data=st.data())
@settings(max_examples=80)
def test_no_byte_of_a_signed_run_can_be_changed(signed_run, public, data):
    """The point of it all: with a key, anything but what was signed is never ok."""
    path = signed_run / data.draw(st.sampled_from(EVERYTHING))
    before = path.read_bytes()
    at, flip = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(1, 255))
    mode = path.stat().st_mode
    path.chmod(0o644)
    try:
        path.write_bytes(bytes([*before[:at], before[at] ^ flip, *before[at + 1 :]]))
        found = verify(signed_run, [public])
    except HarnessError:
        return
    finally:
        path.write_bytes(before)
        path.chmod(mode)
    if path.name != ATTESTATION:
        assert not found.ok
        return
    # Of an envelope, the key id, white space and names that nobody reads are not signed.
    assert found.ok == (states(found)["signature"] == "PASS")


def test_the_three_things_that_a_report_is_named_by(signed_run, tmp_path):
    assert locate(signed_run) == (signed_run, None)
    assert locate(signed_run / "report.json") == (signed_run, None)
    assert locate(signed_run / ATTESTATION) == (signed_run, signed_run / ATTESTATION)
    with pytest.raises(UsageError, match="no such file or folder; name a run's folder"):
        locate(tmp_path / "absent")
    alone = Path(shutil.copy(signed_run / "report.json", tmp_path))
    with pytest.raises(UsageError, match=r"no run\.json beside it; name the run's folder"):
        locate(alone)


def test_consistency_needs_no_library(copied, monkeypatch):
    monkeypatch.setitem(sys.modules, "securesystemslib", None)
    assert verify(copied).ok
