"""Each advisory id has a page, and each message quoted there is one that its check gives."""

import textwrap
from pathlib import Path

import pytest

from harness.audit import source
from tests.checks import (
    test_source_clock,
    test_source_dead,
    test_source_order,
    test_source_reach,
    test_source_target,
    test_source_validation,
)
from tests.harness.audit.test_source import CHEAT

PAGES = Path(__file__).parents[2] / "docs" / "rules"
HEADINGS = ("Advisory", "Points at", "Why", "Example", "Misses", "False alarms")


def given_messages():
    scripts = [
        CHEAT,
        *test_source_clock.CHEATS,
        *test_source_order.CHEATS.values(),
        *test_source_reach.NETWORK,
        *test_source_reach.PROCESSES,
        *test_source_target.CHEATS.values(),
        *test_source_validation.CHEATS.values(),
        test_source_dead.HEAD + "requests.get(url)",
    ]
    files = [(f"{i}.py", script.encode()) for i, script in enumerate(map(textwrap.dedent, scripts))]
    found = [note.note for file in files for note in source.look([file]).notes]
    return {(note.id, note.message) for note in found}


@pytest.mark.parametrize("check", source.IDS)
def test_a_page_says_that_it_is_advisory_and_what_it_misses(check):
    page = (PAGES / f"{check}.md").read_text("utf-8")
    assert page.startswith(f"# `{check}`\n\n**Advisory.** A note, never a verdict")
    places = [page.index(f"\n**{heading}.**") for heading in HEADINGS]
    assert places == sorted(places)
    assert max(map(len, page.splitlines())) <= 110


def test_no_page_lacks_a_check():
    assert {page.stem for page in PAGES.glob("source.*.md")} == set(source.IDS)


def test_messages_on_the_pages_are_those_of_the_checks():
    quoted = {
        (check, line.strip())
        for check in source.IDS
        for line in (PAGES / f"{check}.md").read_text("utf-8").splitlines()
        if line.startswith("    ")
    }
    assert {check for check, _ in quoted} == set(source.IDS)
    assert quoted <= given_messages()
