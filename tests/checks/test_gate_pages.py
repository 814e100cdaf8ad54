"""Each finding on a pull request has its page, and each message quoted there is one that is given."""

from pathlib import Path

import pytest

from checks import GATE, gate_scope, gate_size
from checks.gate_scope import Trespass
from harness.gate.judge import failed
from harness.gate.received import _problem, _read
from harness.gate.repository import Change
from harness.gate.scope import Unit, divide
from harness.report.result import Commits

PAGES = Path(__file__).parents[2] / "docs" / "rules"
HEADINGS = ("States", "Why", "How it is measured", "Example", "Does not catch", "Mending")
FOLDERS = ("submissions", "records")


def scoped(*changed):
    """Return the message on changes (path, status, mode)."""
    changes = [
        Change(path=path.encode(), status=status, mode=mode, blob="0" * 40)
        for path, status, mode in changed
    ]
    trespasses, units = divide(changes, FOLDERS, frozenset())
    return gate_scope.check(trespasses, added=[u.name for u in units], folders=FOLDERS).message


class Asked:
    """As much of a request as is compared first."""

    commits = Commits(base="1" * 40, merge_base="1" * 40, head="3" * 40)


class Theirs:
    """The same of a result."""

    command, commits = "gate", Commits(base="1" * 40, merge_base="1" * 40, head="2" * 40)


def sized(folders, files, size_bytes, most=(4, 1000, 10)):
    return gate_size.check(
        folders=folders,
        files=files,
        size_bytes=size_bytes,
        max_folders=most[0],
        max_files=most[1],
        max_bytes=most[2],
    )


def examples(tmp_path):
    with pytest.raises(Exception, match="no result") as missing:
        _read(tmp_path / "none")
    unit = Unit(kind="record", path=b"records/a", files=())
    return {
        ("gate.scope", scoped(("gate.toml", "M", "100644"))),
        ("gate.scope", scoped((".github/workflows/gate.yml", "A", "100644"))),
        (
            "gate.scope",
            scoped(
                ("records/a/train.log", "D", "000000"),
                ("submissions/b/weights", "A", "120000"),
                ("submissions/b/submission.toml", "A", "100644"),
            ),
        ),
        ("gate.scope", scoped()),
        (
            "gate.size",
            sized(1, 5002, None).message,
        ),
        ("gate.result", str(missing.value)),
        ("gate.result", _problem(Asked, Theirs)),
        (
            "gate.judged",
            failed(unit, "the result that arrived says nothing of this folder")
            .judgements[0]
            .finding.message,
        ),
    }


def test_messages_on_the_pages_are_those_that_are_given(tmp_path):
    quoted = {
        (check, line.strip())
        for check in GATE
        for line in (PAGES / f"{check}.md").read_text("utf-8").splitlines()
        if line.startswith("    ")
    }
    assert quoted == examples(tmp_path)


@pytest.mark.parametrize("check", GATE)
def test_a_page_answers_the_same_questions(check):
    page = (PAGES / f"{check}.md").read_text("utf-8")
    assert page.startswith(f"# `{check}`\n")
    places = [page.index(f"\n**{heading}") for heading in HEADINGS]
    assert places == sorted(places)
    assert max(len(line) for line in page.splitlines() if not line.startswith("    ")) <= 115


def test_no_page_lacks_a_check():
    assert {page.stem for page in PAGES.glob("gate.*.md")} == set(GATE)
    index = (PAGES / "README.md").read_text("utf-8")
    places = [index.index(f"[{check}]({check}.md)") for check in GATE]
    assert places == sorted(places)


def test_a_scope_names_five_paths_and_counts_the_rest():
    many = [Trespass(path=f"p{n}", problem="is odd") for n in range(300)]
    found = gate_scope.check(many, added=[], folders=FOLDERS)
    assert found.message.endswith("p4 is odd; and 295 more")
    assert found.measured == 300
    assert len(found.evidence["paths"]) == 200


def test_the_size_is_exact():
    def status(*asked):
        return str(sized(*asked, most=(2, 3, 10)).status)

    assert status(2, 3, 10) == "PASS"
    assert [status(3, 3, 10), status(2, 4, 10), status(2, 3, 11), status(2, 4, None)] == [
        "FAIL"
    ] * 4
