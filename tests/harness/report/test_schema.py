from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from harness.errors import UsageError
from harness.report import model, schema
from harness.report.html_page import render_html
from tests.harness.report import samples

PUBLISHED = Path(__file__).parents[3] / "docs" / "schema" / "report-1.json"


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text("utf-8") == schema.text(), (
        "run: python -m harness.report.schema > docs/schema/report-1.json"
    )


def test_the_command_prints_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.report.schema"], capture_output=True, text=True, check=True
    )
    assert done.stdout == schema.text()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(PUBLISHED.read_text("utf-8")))


# The failing sample holds a lone surrogate, which JSON in UTF-8 cannot; the judge never stores one.
@pytest.mark.parametrize("make", [make for make in samples.ALL if make is not samples.failing])
def test_the_samples_are_valid_and_come_back(make) -> None:
    report = make()
    data = model.encode(report)
    jsonschema.Draft202012Validator(schema=json.loads(schema.text())).validate(json.loads(data))
    assert model.decode(data) == report
    # A whole number in a field of fractions is 1 before the first reading and 1.0 after it.
    again = model.encode(model.decode(data))
    assert model.encode(model.decode(again)) == again


def test_what_is_no_report_is_refused() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema.text()))
    whole = json.loads(model.encode(samples.passing()))
    for change in (
        {"verdict": "GREEN"},
        {"seeds": None},
        {"extra": 1},
        {"nats_per_token_mean": "1.8"},
    ):
        assert not validator.is_valid({**whole, **change}), change


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"run_id": "\xff"}', b'{"findings": [{"evidence": {"a": ' + b"[" * 5000],
    ids=["nothing", "cut", "list", "not UTF-8", "nested"],
)
def test_what_cannot_be_read_is_said_in_a_sentence(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"here\.json: .*; give a file that harness wrote"):
        model.decode(data, "here.json")


def _as(version: str, **changes: object) -> bytes:
    report = json.loads(model.encode(samples.passing()))
    for seed in report["seeds"]:
        if version == "1.0":
            del seed["worst"]
    return json.dumps({**report, "schema_version": version, **changes}).encode()


def test_a_report_of_the_first_schema_is_still_read() -> None:
    report = model.decode(_as("1.0"))
    assert report.schema_version == "1.0"
    assert [seed.worst for seed in report.seeds] == [(), (), ()]
    assert report.seeds[0].curve == samples.passing().seeds[0].curve
    assert "Worst challenged positions" not in render_html(report)


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_a_newer_report_is_refused_by_its_version(version: str) -> None:
    with pytest.raises(UsageError, match=f"schema {version} is newer than 1.1"):
        model.decode(_as(version, later=True))


def test_a_field_that_the_schema_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="later"):
        model.decode(_as("1.1", later=True))
