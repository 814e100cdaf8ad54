"""What others rely on, frozen: commands, options, exit codes, check ids, report fields, files of a run.

A failure here is not a bug by itself. It says that a published name changed: put it into CHANGELOG.md, raise
the version that the change asks for (docs/schema), and then this list.
"""

import json
from pathlib import Path

import click
import jsonschema
import pytest

import checks
import harness
from checks.contract import Outcome, Status
from harness import cli, errors, verdict
from harness.audit.contest import load
from harness.audit.folder import read_folder
from harness.audit.judging import judge
from harness.audit.source import IDS
from harness.examine import CHECKS
from harness.report import schema
from tests.judged import ROOT

OPTIONS = {
    "attest": ["--data", "--json", "--key", "--out", "--passphrase-env", "run"],
    "audit": [
        "--baselines", "--format", "--jobs", "--json", "--out", "--sort", "--title",
        "--write-baselines", "paths",
    ],
    "baseline": ["--json", "--name", "--out", "run"],
    "board": ["--data", "--format", "--json", "--key", "--out", "--ruleset", "runs"],
    "check": [
        "--artifact", "--data", "--format", "--json", "--keep", "--quiet", "--ruleset", "--sandbox",
        "submission",
    ],
    "compare": ["--data", "--format", "--json", "a", "b"],
    "completion": ["shell"],
    "data build": [
        "--documents", "--force", "--json", "--name", "--out", "--shard-tokens", "--text", "--tokenizer",
        "--val-bytes", "--val-fraction", "--val-text", "--vocab",
    ],
    "data show": ["--json", "folder"],
    "data verify": ["--json", "folder"],
    "doctor": ["--json", "--loopback", "--ruleset", "--sandbox"],
    "explain": ["--json", "--raw", "check"],
    "regrade": ["--data", "--json", "run"],
    "gate": [
        "--base", "--data", "--format", "--head", "--json", "--out", "--repo", "--result", "--sandbox",
        "--summary",
    ],
    "report": ["--format", "--json", "run"],
    "run": [
        "--baseline", "--data", "--format", "--json", "--out", "--progress", "--quiet", "--resume",
        "--ruleset", "--sandbox", "--seeds", "submission",
    ],
    "stats": ["--baseline", "--bits-per-byte", "--bytes-per-token", "--json", "--ruleset", "scores"],
    "verify": ["--attestation", "--data", "--json", "--key", "report"],
    "selftest": ["--corpus", "--jobs", "--json", "--keep", "--list", "--sandbox", "names"],
}  # fmt: skip
DEFAULTS = {"--seeds": "1337,42,2025", "--ruleset": "smoke", "--out": "runs"}
CHECK_IDS = (
    "time.setup", "time.train", "time.load", "time.score", "bytes.artifact", "score.complete",
    "score.bytes", "order.future", "order.blind", "norm.sum", "norm.target", "repro.score", "stats.margin",
)  # fmt: skip
PREFLIGHT_IDS = (
    "submission.manifest",
    "submission.files",
    "submission.imports",
    "submission.session",
)
AUDIT_IDS = (
    "claims.json", "claims.score", "claims.loss", "claims.rounding", "claims.deviation", "claims.bytes",
    "claims.code", "claims.seeds", "claims.copies", "claims.steps", "claims.delta", "claims.ratio",
    "evidence.train", "evidence.score", "evidence.bytes", "evidence.seeds", "evidence.margin",
    "source.target", "source.order", "source.validation", "source.network", "source.process",
    "source.clock", "source.dead",
)  # fmt: skip
REPORT = {
    "Report": "attempts baseline bits_per_byte_mean challenge_seed created_utc data exit_code findings "
    "guarantees harness_version machine nats_per_token_mean required ruleset run_id schema_version seeds "
    "submission verdict verdict_message wall_s",
    "SeedResult": "artifact_bytes artifact_digest artifact_files bits_per_byte blind bytes challenge_seed "
    "challenges curve findings nats_per_token phases seed tokens worst",
    "WorstPosition": "answered_nats credited_nats first gap_nats piece pieces position question token tokens",
    "Finding": "evidence id limit measured message power status unit",
    "PhaseTime": "budget_s detail grace_s outcome peak_rss_mb phase wall_s",
    "RulesetFacts": "name sha256 title version",
    "SubmissionFacts": "authors digest files name size_bytes summary",
    "ArtifactFile": "origin path sha256 size_bytes",
    "Guarantee": "means name required state",
    "BaselineFacts": "bytes_per_token date name nats_per_token seeds sha256 source",
    "Machine": "cores cpu gpus memory_gb packages python system",
    "DataFacts": "folder name own tokenizer_sha256 train_sha256 train_text_bytes train_tokens val_sha256 "
    "val_text_bytes val_text_sha256 val_tokens vocab_size",
}


def leaves(group: click.Group, context: click.Context, before: str = ""):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, context, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


@pytest.fixture
def commands():
    return dict(leaves(cli.group, click.Context(cli.group)))


def test_commands_and_their_options(commands):
    found = {
        name: sorted(option for parameter in command.params for option in parameter.opts)
        for name, command in commands.items()
    }
    assert found == OPTIONS


def test_defaults_of_run(commands):
    found = {
        option: parameter.default
        for parameter in commands["run"].params
        for option in parameter.opts
        if isinstance(parameter.default, str)
    }
    assert {name: str(found[name]) for name in DEFAULTS} == DEFAULTS


def test_every_command_and_option_explains_itself(commands):
    for name, command in commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.opts != ["--out"]:
                assert parameter.help, f"{name} {parameter.opts[0]}"
    assert set(cli.COMMANDS) == {name.split(" ")[0] for name in OPTIONS}


def test_exit_codes():
    assert (errors.EXIT_PASS, errors.EXIT_RULE_BROKEN, errors.EXIT_USAGE, errors.EXIT_JUDGE) == (
        0,
        1,
        2,
        3,
    )
    assert {
        Status.PASS: 0,
        Status.FAIL: 1,
        Status.ERROR: 3,
        Status.NOT_RUN: 3,
    } == verdict.EXIT_CODES
    assert "Exit codes: 0 " in (cli.group.help or "")


def test_words_of_a_report():
    assert [str(status) for status in Status] == ["PASS", "FAIL", "ERROR", "NOT-RUN"]
    assert [str(outcome) for outcome in Outcome] == [
        "done",
        "deadline",
        "exited",
        "breach",
        "not started",
    ]


def test_check_ids():
    assert checks.ORDER == CHECK_IDS
    assert checks.PREFLIGHT == PREFLIGHT_IDS
    assert set(CHECKS) < set(CHECK_IDS)


@pytest.mark.parametrize("check", [*CHECK_IDS, *PREFLIGHT_IDS, *AUDIT_IDS])
def test_every_check_has_its_page(check):
    text = (ROOT / "docs" / "rules" / f"{check}.md").read_text("utf-8")
    assert check in text
    assert f"({check}.md)" in (ROOT / "docs" / "rules" / "README.md").read_text("utf-8")


def test_an_audit_has_these_findings_and_notes():
    contest = load()
    nothing = read_folder(Path(__file__).parent / "checks", "nothing")
    assert (*(finding.id for finding in judge(nothing, contest)), *IDS) == AUDIT_IDS


@pytest.mark.parametrize("path", sorted((ROOT / "checks").glob("*.py")), ids=lambda path: path.stem)
def test_every_check_says_what_it_does_not_catch(path):
    if path.stem in ("__init__", "contract", "published", "published_limits"):
        return
    docstring = path.read_text("utf-8").split('"""')[1]
    assert "Does not catch: " in docstring or path.stem == "agreement"


def test_report_fields():
    found = {
        name: " ".join(sorted(definition["properties"]))
        for name, definition in schema.model.schema()["$defs"].items()
        if "properties" in definition
    }
    assert found == REPORT


def test_the_published_schema_is_the_code_s():
    """`python -m harness.report.schema > docs/schema/report-1.json`."""
    path = ROOT / "docs" / "schema" / "report-1.json"
    assert path.read_text("utf-8") == schema.text()
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))


def test_no_file_of_the_project_names_this_machine():
    """Reports and messages name folders as the user did; the sources name none at all."""
    for folder in ("harness", "checks"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert str(Path.home()) not in text, path
            assert str(ROOT) not in text, path


def test_the_version_is_one():
    assert harness.__version__.count(".") == 2
