"""The statement: the same run gives the same bytes, and nothing else is read as one."""

import hashlib
import json

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Status
from harness.attest import evidence, schema, statement
from harness.attest.regrading import read_plan_of, read_report
from harness.attest.signing import read_envelope
from harness.attest.verification import ATTESTATION
from harness.errors import UsageError
from harness.seal import digest_of
from tests.judged import ROOT

sha256 = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.fixture(scope="module")
def payload(signed_run):
    return read_envelope(signed_run / ATTESTATION).payload


def stated(folder, **changes):
    stored = read_report(folder)
    facts = {"evidence": {}, "report_sha256": "0" * 64, "when_utc": "2026-01-01T00:00:00Z"}
    report = msgspec.structs.replace(stored.report, **changes.pop("report", {}))
    return statement.state(report, plan=read_plan_of(folder), **(facts | changes))


@given(
    files=st.dictionaries(st.text(max_size=20), sha256, max_size=6),
    message=st.text(max_size=40),
    mean=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_equal_statements_are_equal_bytes_and_come_back(signed_run, files, message, mean, order):
    shuffled = list(files.items())
    order.shuffle(shuffled)
    facts = {"verdict_message": message, "nats_per_token_mean": mean}
    one = statement.encode(stated(signed_run, evidence=files, report=facts))
    other = statement.encode(stated(signed_run, evidence=dict(shuffled), report=facts))
    assert one == other
    back = statement.decode(one, "x")
    assert back == stated(signed_run, evidence=files, report=facts)
    assert statement.encode(back) == one
    assert json.loads(one) == json.loads(json.dumps(json.loads(one), sort_keys=True))


def test_what_it_says_is_what_lies_there(signed_run, payload):
    """Each digest against the plain one of the file or folder that it names."""
    said = json.loads(payload)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == statement.PREDICATE_TYPE
    digests = {each["name"]: each["digest"]["sha256"] for each in said["subject"]}
    assert set(digests) == {"report.json", "submission", "seeds/1/sealed"}
    report = (signed_run / "report.json").read_bytes()
    assert digests["report.json"] == hashlib.sha256(report).hexdigest()
    assert digests["submission"] == digest_of(signed_run / "submission")
    predicate, report = said["predicate"], json.loads(report)
    assert predicate["policy"]["digest"]["sha256"] == plain_sha256(signed_run / "ruleset.toml")
    assert predicate["machine"] == report["machine"]
    assert predicate["findings"] == {each["id"]: each["status"] for each in report["findings"]}
    (seed,) = predicate["seeds"]
    assert seed["nats_per_token"] == report["seeds"][0]["nats_per_token"]
    assert seed["wall_s"] == {
        time["phase"]: time["wall_s"] for time in report["seeds"][0]["phases"]
    }
    assert predicate["verificationResult"] == "PASSED"
    assert (
        predicate["data"]["sha256"]
        == json.loads((signed_run / "run.json").read_text())["data_digests"]
    )
    assert predicate["evidence"] == {
        name: plain_sha256(signed_run / name) for name in predicate["evidence"]
    }


def plain_sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_of_a_run_is_evidence_or_covered_by_a_digest_or_decides_nothing(signed_run):
    """A new file that the verdict reads must not be forgotten here."""
    found = {
        path.relative_to(signed_run).as_posix() for path in signed_run.rglob("*") if path.is_file()
    }
    covered = {name for name in found if name.split("/")[0] == "submission" or "/sealed/" in name}
    decides_nothing = {name for name in found if "/logs/" in name}
    listed = set(evidence.digests(signed_run, [1]))
    assert found - covered - decides_nothing - listed == {"report.json", ATTESTATION}
    assert listed <= set(evidence.names([1]))


@pytest.mark.parametrize("verdict", list(Status))
def test_only_a_pass_is_passed(signed_run, verdict):
    said = stated(signed_run, report={"verdict": verdict}).predicate
    assert (said.verification_result == "PASSED") == (verdict is Status.PASS)
    assert said.verdict is verdict


def test_the_published_schema_is_the_code_s_and_describes_the_payload(payload):
    """`python -m harness.attest.schema > docs/schema/statement-1.json`."""
    published = (ROOT / "docs" / "schema" / "statement-1.json").read_text("utf-8")
    assert published == schema.text()
    validator = jsonschema.Draft202012Validator(json.loads(published))
    validator.check_schema(json.loads(published))
    validator.validate(json.loads(payload))


def changed(payload, *path, value):
    said = json.loads(payload)
    place = said
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: b"", "not an in-toto statement"),
        (lambda p: b"\xff\xfe", "not an in-toto statement"),
        (lambda p: b"[" * 100_000, "not an in-toto statement"),
        (lambda p: b'{"a":' * 100_000, "not an in-toto statement"),
        (lambda p: p[:-1], "not an in-toto statement"),
        (lambda p: b"{}", "not an in-toto statement"),
        (lambda p: changed(p, "_type", value="https://in-toto.io/Statement/v0.1"), "_type is 'https"),
        (lambda p: changed(p, "predicateType", value="https://slsa.dev/provenance/v1"), "predicateType is"),
        (lambda p: changed(p, "predicateType", value="\x1b[31m"), r"predicateType is '\x1b[31m'"),
        (lambda p: changed(p, "predicate", "schema_version", value="1.1"), "schema 1.1 is newer than 1.0"),
        (lambda p: changed(p, "predicate", "schema_version", value="7.0"), "schema 7.0 is newer than 1.0"),
        (lambda p: changed(p, "predicate", "schema_version", value="one"), "not of the form 1.0"),
        (lambda p: changed(p, "predicate", "more", value=1), "unknown field `more`"),
        (lambda p: changed(p, "predicate", "evidence", value={"a": "b"}), "Expected `str` matching"),
        (lambda p: changed(p, "predicate", "verificationResult", value="GREAT"), "Invalid enum value"),
        (lambda p: changed(p, "subject", 0, "digest", value={"md5": "0"}), "not an in-toto statement"),
        (lambda p: p + b" ", "not written as harness writes it"),
        (lambda p: p.replace(b'"verdict":"PASS"', b'"verdict":"FAIL","verdict":"PASS"'), "not written as"),
        (lambda p: p.replace(b'"_type"', b'"more":1,"_type"'), "not written as harness writes it"),
    ],
)  # fmt: skip
def test_nothing_else_is_read_as_a_statement(payload, change, says):
    assert changed(payload, "_type", value=statement.STATEMENT_TYPE) == payload
    with pytest.raises(UsageError) as caught:
        statement.decode(change(payload), "the attestation")
    assert says in str(caught.value)
    assert str(caught.value).startswith("the attestation: ")
