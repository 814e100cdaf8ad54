"""Each finding on a submission's folder has its page, and each message quoted there is one that is given."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import (
    PREFLIGHT,
    submission_files,
    submission_imports,
    submission_manifest,
    submission_session,
)
from checks.contract import Status
from checks.submitted import Copied, Described, Doubtful, Imports, Started, Tried

PAGES = Path(__file__).parents[2] / "docs" / "rules"
HEADINGS = ("States", "Why", "How it is measured", "Example", "Does not catch", "Mending")
READ = (
    Started(command="train", words="python t.py"),
    Started(command="score", words="python s.py"),
)
IMPORTS = Imports(started=READ, files=1, modules=3, doubtful=())
COPIED = Copied(
    files=2, size_bytes=2_268, declared=("bigram.py",), code_bytes=2_268, cap_bytes=1_000_000
)
TRIED = Tried(reached="challenge", tokens=8_440, questions=272)
LEFT_OUT = Doubtful(
    command="score",
    file="score.py",
    line=4,
    message="imports tables, which is in the folder but not in artifact.code",
    certain=True,
)
NOWHERE = Doubtful(
    command="train",
    file="train.py",
    line=2,
    message="imports einsum, which is neither the submission's nor the ruleset's nor Python's",
    certain=True,
)
LACKING = Doubtful(
    command="train",
    file="train.py",
    line=1,
    message="imports torch of torch, which the ruleset allows and this machine lacks",
    certain=True,
    remedy="pip install 'torch>=2.11'",
)
UNREAD = replace(READ[0], unread="starts bash, which is not Python; what it imports is not read")


def importing(*doubtful, started=READ):
    return submission_imports.check(replace(IMPORTS, doubtful=doubtful, started=started))


def examples():
    return [
        submission_manifest.check(Described(name="x", code=1, outputs=1)),
        submission_manifest.check(
            Described(
                problem="submission.toml: Object contains unknown field `blok_tokens` - at `$.score`; "
                "did you mean `block_tokens`?"
            )
        ),
        submission_files.check(COPIED),
        submission_files.check(
            replace(COPIED, declared=("table.txt",), refused=(("table.txt", "is a symbolic link"),))
        ),
        submission_files.check(replace(COPIED, code_bytes=210_343, cap_bytes=200_000)),
        importing(),
        importing(LEFT_OUT),
        importing(NOWHERE),
        importing(LACKING),
        importing(started=(UNREAD, READ[1])),
        submission_session.check(TRIED),
        submission_session.check(Tried(why_not="submission.imports is FAIL")),
        submission_session.check(
            Tried(
                reached="setup",
                why_not="no untrained artifact: output weights.bin: is not there; leave one where `fresh` is "
                "asked for, or give what training left with --artifact",
            )
        ),
        submission_session.check(
            Tried(
                why_not="runs: No space left on device; make room for the judge's files and resume the run",
                fault=True,
            )
        ),
    ]


def test_messages_on_the_pages_are_those_that_are_given():
    quoted = {
        (check, line.strip())
        for check in PREFLIGHT
        for line in (PAGES / f"{check}.md").read_text("utf-8").splitlines()
        if line.startswith("    ")
    }
    assert quoted == {(finding.id, finding.message) for finding in examples()}


@pytest.mark.parametrize("check", PREFLIGHT)
def test_a_page_answers_the_same_questions(check):
    page = (PAGES / f"{check}.md").read_text("utf-8")
    assert page.startswith(f"# `{check}`\n")
    places = [page.index(f"\n**{heading}") for heading in HEADINGS]
    assert places == sorted(places)
    assert max(len(line) for line in page.splitlines() if not line.startswith("    ")) <= 115


def test_no_page_lacks_a_check():
    assert {page.stem for page in PAGES.glob("submission.*.md")} == set(PREFLIGHT)
    index = (PAGES / "README.md").read_text("utf-8")
    places = [index.index(f"[{check}]({check}.md)") for check in PREFLIGHT]
    assert places == sorted(places)


def status(finding):
    return str(finding.status)


# --- manifest ---


def test_a_program_that_is_missing_here_is_no_fault_and_no_pass():
    found = submission_manifest.check(Described(name="x", missing_program="command 'x': none"))
    assert (found.status, found.message) == (Status.NOT_RUN, "command 'x': none")
    both = submission_manifest.check(Described(problem="p", missing_program="m"))
    assert (both.status, both.message) == (Status.FAIL, "p")


# --- files ---


@given(code=st.integers(0, 100), cap=st.integers(1, 100))
def test_the_cap_is_exact(code, cap):
    found = submission_files.check(replace(COPIED, code_bytes=code, cap_bytes=cap))
    assert (found.status is Status.PASS) == (code <= cap)
    assert (found.measured, found.limit, found.unit) == (code, cap, "bytes")
    assert submission_files.is_whole(replace(COPIED, code_bytes=code, cap_bytes=cap))


NAMES = st.sampled_from(["a", "b", "a/b", "ab", "c/d"])


@given(declared=st.sets(NAMES), refused=st.sets(NAMES))
def test_what_is_refused_breaks_what_is_declared_or_below_it(declared, refused):
    found = replace(
        COPIED,
        declared=tuple(sorted(declared)),
        refused=tuple((name, "is a link") for name in sorted(refused)),
    )
    broken = {r for r in refused if any(d == r or d.startswith(r + "/") for d in declared)}
    assert (submission_files.check(found).status is Status.FAIL) == bool(broken)
    assert submission_files.is_whole(found) == (not broken)
    assert {name for name, _ in submission_files.left_out(found)} == refused - broken


def test_a_folder_that_cannot_be_copied():
    found = replace(COPIED, problem="more than 20000 files")
    assert submission_files.check(found).message == "more than 20000 files"
    assert not submission_files.is_whole(found)


def test_many_refused_files_are_counted():
    refused = tuple((f"f{n}", "is a link") for n in range(9))
    found = replace(COPIED, declared=tuple(name for name, _ in refused), refused=refused)
    assert submission_files.check(found).message.endswith("f2 is a link (and 6 more)")


# --- imports ---


DOUBTS = st.lists(
    st.builds(
        Doubtful,
        command=st.sampled_from(["train", "score"]),
        file=st.just("f.py"),
        line=st.integers(0, 9),
        message=st.just("imports x"),
        certain=st.booleans(),
        remedy=st.sampled_from(["", "pip install 'x'"]),
    ),
    max_size=6,
)


@given(doubts=DOUBTS, unread=st.booleans())
def test_what_decides_is_certain(doubts, unread):
    started = (UNREAD, READ[1]) if unread else READ
    found = replace(IMPORTS, doubtful=tuple(doubts), started=started)
    finding, first = submission_imports.check(found), submission_imports.first(found)
    certain = [each for each in doubts if each.certain]
    broken = [each for each in certain if not each.remedy]
    expected = Status.FAIL if broken else Status.NOT_RUN if certain or unread else Status.PASS
    assert finding.status is expected
    assert finding.measured == len(broken)
    assert (first is None) == (not certain)
    assert first in (broken or certain or [None])
    assert submission_imports.advice(found) == [each for each in doubts if not each.certain]


def test_only_so_many_are_named():
    many = importing(*(replace(NOWHERE, line=n) for n in range(1, 9)))
    assert many.message.count("einsum") == 3
    assert many.message.endswith("(and 5 more)")
    assert len(many.evidence["unresolved"]) == 8


def test_one_of_a_kind_is_spelled_so():
    assert submission_imports.check(replace(IMPORTS, modules=1, files=2)).message == (
        "1 module that 2 files import is there"
    )


# --- session ---


def test_a_session_that_stopped_is_never_a_pass():
    assert status(submission_session.check(TRIED)) == "PASS"
    assert status(submission_session.check(replace(TRIED, why_not="x"))) == "NOT-RUN"
    assert status(submission_session.check(replace(TRIED, why_not="x", fault=True))) == "ERROR"
    given = submission_session.check(replace(TRIED, weights="given"))
    assert given.message.endswith("with given weights")
