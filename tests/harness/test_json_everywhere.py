"""Every command that prints a result prints it as JSON too."""

import json

import click
import pytest

from harness import cli
from harness.ruleset import parse_baseline
from tests.harness.audit.written import write_record
from tests.harness.compare.written import nats_of, run_folder
from tests.test_surface import leaves

WITHOUT = {"completion"}
"""A script for a shell."""


def test_every_command_has_json():
    for name, command in leaves(cli.group, click.Context(cli.group)):
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) == (name not in WITHOUT), name


@pytest.fixture
def run(tmp_path, tiny_data):
    return run_folder(
        tmp_path / "run", tiny_data, {s: nats_of(tiny_data, s, level=1.9) for s in (1, 2)}
    )


def test_json_of_a_baseline_is_what_was_written(desk, run, tmp_path):
    target = tmp_path / "base.toml"
    status, out, _ = desk("baseline", run, "--out", target, "--name", "mine", "--json")
    said, written = json.loads(out), parse_baseline(target.read_text(), str(target))
    assert status == 0
    assert (said["name"], said["seeds"]) == ("mine", [1, 2])
    assert tuple(said["nats_per_token"]) == written.nats_per_token


def test_json_of_an_audit_is_its_json_format(desk, tmp_path):
    record = write_record(tmp_path / "record")
    told = [desk("audit", record, *how)[1] for how in (["--json"], ["--format", "json"])]
    assert told[0] == told[1]
    assert json.loads(told[0])["folders"][0]["id"] == "record"


def test_json_of_a_build_is_that_of_show(desk, tmp_path):
    pytest.importorskip("sentencepiece")
    text = tmp_path / "text.txt"
    text.write_text(
        "\n".join(f"document {n} says {'this and that ' * (n % 5)}{n}" for n in range(200))
    )
    built = desk(
        "data", "build", "--text", text, "--vocab", "300", "--out", tmp_path / "data", "--json"
    )
    assert built[0] == 0
    assert json.loads(built[1]) == json.loads(desk("data", "show", tmp_path / "data", "--json")[1])
