"""`harness run` and `harness report` show a run in every format; what they write stays the same."""

from __future__ import annotations

import json
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from harness import verdict
from harness.commands.report import report as report_command
from harness.commands.run import run as run_command
from harness.commands.show import conclude
from harness.report import model
from harness.report.formats import FORMATS
from tests.harness.report import samples


@pytest.mark.parametrize("style", FORMATS)
def test_a_run_in_every_format(style: str, tmp_path, monkeypatch, capsys) -> None:
    report = samples.undecided()
    monkeypatch.setattr(verdict, "report", lambda run: report)
    code = conclude(SimpleNamespace(folder=tmp_path), style)  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert code == report.exit_code == 3
    assert (tmp_path / "report.json").read_bytes() == model.encode(report)
    assert (tmp_path / "report.html").is_file()
    match style:
        case "json":
            assert shown.encode() == model.encode(report)
        case "text":
            assert shown.split()[0] == "NOT-RUN"
        case "markdown":
            assert shown.startswith("## NOT-RUN: ")
        case "github":
            assert shown.startswith("::warning title=NOT-RUN stats.margin ")
        case "junit":
            assert ET.fromstring(shown).get("errors") == "1"
        case "sarif":
            assert json.loads(shown)["runs"][0]["invocations"][0]["exitCode"] == 3


@pytest.mark.parametrize("command", [report_command, run_command])
def test_both_commands_offer_every_format(command) -> None:
    (option,) = [each for each in command.params if "--format" in each.opts]
    assert tuple(option.type.choices) == FORMATS
