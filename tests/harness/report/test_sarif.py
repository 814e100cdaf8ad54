"""SARIF, held to the official schema; sarif-2.1.0.schema.md says where that is from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from msgspec.structs import replace

from checks.contract import Status
from harness.report.result import Place
from harness.report.sarif import render_sarif
from tests.harness.report import sample_results

VALIDATOR = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parent / "sarif-2.1.0.schema.json").read_text("utf-8"))
)


def run_of(result: Any, **more: bool) -> dict[str, Any]:
    (run,) = json.loads(render_sarif(result, **more))["runs"]
    return run  # type: ignore[no-any-return]


@pytest.mark.parametrize("passed", [False, True])
@pytest.mark.parametrize("make", sample_results.ALL)
def test_it_is_valid(make, passed: bool) -> None:
    text = render_sarif(make(), passed=passed)
    text.encode("utf-8")
    VALIDATOR.validate(json.loads(text))


def test_the_schema_refuses_what_is_none() -> None:
    log = json.loads(render_sarif(sample_results.gate()))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(log)


def test_kinds_and_levels_are_the_standard_s() -> None:
    """3.27.10: a kind other than "fail" has the level "none"."""
    run = run_of(sample_results.gate(), passed=True)
    said = {(r["properties"]["status"], r["properties"]["required"]): (r["kind"], r["level"])
            for r in run["results"] if "kind" in r}  # fmt: skip
    assert said == {
        ("FAIL", True): ("fail", "error"),
        ("FAIL", False): ("fail", "warning"),
        ("ERROR", True): ("open", "none"),
        ("NOT-RUN", True): ("open", "none"),
        ("NOT-RUN", False): ("open", "none"),
        ("PASS", True): ("pass", "none"),
    }
    assert [r["level"] for r in run["results"] if "kind" not in r] == ["note", "note"]


def test_what_is_pass_is_left_out_unless_asked_for() -> None:
    ids = [r["ruleId"] for r in run_of(sample_results.gate())["results"]]
    assert ids == [
        "norm.sum", "order.blind", "repro.score", "source.target", "source.network", "claims.code",
    ]  # fmt: skip
    assert run_of(sample_results.run())["results"] == []


def test_rules_are_the_pages_and_results_point_at_them() -> None:
    run = run_of(sample_results.gate(), passed=True)
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for found in run["results"]:
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
    blind = next(rule for rule in rules if rule["id"] == "order.blind")
    assert blind["shortDescription"]["text"].startswith(
        "No credited score depends on its own target"
    )
    assert "# `order.blind`" in blind["help"]["markdown"]
    assert not re.search(r"\]\((?!https?:)", blind["help"]["markdown"])


def test_a_run_says_whether_it_could_conclude() -> None:
    (gate,) = run_of(sample_results.gate())["invocations"]
    assert (gate["executionSuccessful"], gate["exitCode"]) == (False, 1)  # order.blind is an ERROR
    (audit,) = run_of(sample_results.audit())["invocations"]
    assert (audit["executionSuccessful"], audit["exitCode"]) == (True, 3)
    levels = [n["level"] for n in gate["toolExecutionNotifications"]]
    assert levels == ["error", "note", "warning", "note"]
    (empty,) = run_of(sample_results.empty())["invocations"]
    assert empty["executionSuccessful"] is False


def test_places_are_relative_uris() -> None:
    found = run_of(sample_results.gate())["results"][0]["locations"][0]["physicalLocation"]
    assert found == {
        "artifactLocation": {
            "uri": "submissions/tilted-transformer/score.py",
            "uriBaseId": "%SRCROOT%",
        },
        "region": {"startLine": 48},
    }


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b/ä#?.py", "a%20b/%C3%A4%23%3F.py"),
        ("c:/x", "c%3A/x"),
        ("train_\udcfe.log", "train_%FE.log"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("/etc/passwd", None),
        ("../up", None),
        ("//evil.example/x", None),
        ("", None),
    ],
)
def test_a_name_is_a_path_below_the_root_or_no_place(file: str, uri: str | None) -> None:
    entry = sample_results.gate().entries[1]
    judgement = replace(entry.judgements[2], place=Place(file=file))
    made = sample_results.result("check", replace(entry, judgements=(judgement,)))
    location = run_of(made)["results"][0]["locations"][0]
    shown = location.get("physicalLocation", {}).get("artifactLocation", {}).get("uri")
    assert shown == uri
    if uri:
        assert unquote(uri, errors="surrogateescape") == file


def test_fingerprints_stay_when_lines_and_figures_move_and_differ_otherwise() -> None:
    result = sample_results.gate()
    entry = result.entries[1]
    moved = replace(
        entry,
        notes=tuple(
            replace(n, message="other", place=n.place and replace(n.place, line=9))
            for n in entry.notes
        ),
    )
    twice = replace(entry, notes=(*entry.notes, *entry.notes))

    def prints(*entries: Any) -> list[str]:
        run = run_of(replace(result, entries=entries))
        return [r["partialFingerprints"]["harnessFinding/v1"] for r in run["results"]]

    assert prints(entry) == prints(moved)
    assert len(set(prints(twice))) == len(prints(twice)) == len(prints(entry)) + 2


def test_words_make_no_link_and_no_placeholder() -> None:
    for found in run_of(sample_results.hostile(), passed=True)["results"]:
        assert "](" not in found["message"]["text"]
        assert not re.search(r"\{\d+\}", found["message"]["text"])


def test_nothing_is_alarming_where_all_is_well() -> None:
    (invocation,) = run_of(sample_results.run())["invocations"]
    assert invocation == {
        "executionSuccessful": True, "exitCode": 0, "toolExecutionNotifications": [],
    }  # fmt: skip
    assert sample_results.run().verdict is Status.PASS
