"""Which changes are a pull request's to make: by git's objects, with names that no checkout could hold."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Status
from harness.errors import JudgeError, UsageError
from harness.gate.repository import Change, Repository, _changes, _fields
from harness.gate.scope import Unit, divide, scope_of
from harness.gate.settings import Settings
from tests.harness.gate.pulls import LINK, SUBMODULE, Pulls

BASE = {
    "README.md": b"read",
    "gate.toml": b"schema = 1\n",
    ".github/workflows/gate.yml": b"on: pull_request\n",
    "records/old/submission.json": b"{}",
    "records/old/train.log": b"log",
}
NEW = {"submissions/mine/submission.toml": b"x", "submissions/mine/a.py": b"y"}


@pytest.fixture
def pulls(tmp_path):
    return Pulls(tmp_path / "repo.git")


def look(pulls, files, *, settings=None, base=BASE):
    """Return the scope of one pull request."""
    first = pulls.commit("main", base)
    head = pulls.commit("pull", files, parent=first)
    repository = Repository(pulls.folder)
    return scope_of(repository, settings or Settings(), base=first, merge_base=first, head=head)


def problems(scope):
    found = scope.findings[0]
    assert (found.status is Status.FAIL) == bool(found.evidence.get("paths"))
    return {each["path"]: each["problem"] for each in found.evidence.get("paths", ())}


def test_a_submission_alone_is_in_scope(pulls):
    scope = look(pulls, NEW)
    assert [f.status for f in scope.findings] == [Status.PASS, Status.PASS]
    assert [(u.kind, u.name, len(u.files)) for u in scope.units] == [
        ("submission", "submissions/mine", 2)
    ]
    assert scope.findings[1].measured == 2


@pytest.mark.parametrize(
    ("files", "path", "words"),
    [
        ({"README.md": b"new"}, "README.md", "is changed; it stands on the base"),
        ({"gate.toml": b"schema = 1\nmax_files = 9\n"}, "gate.toml", "is changed"),
        ({".github/workflows/gate.yml": b"on: push\n"}, ".github/workflows/gate.yml", "is changed"),
        ({".github/workflows/more.yml": b"on: push\n"}, ".github/workflows/more.yml", "is outside"),
        ({"action.yml": b"runs:\n"}, "action.yml", "is outside submissions/, records/"),
        ({"records/old/train.log": None}, "records/old/train.log", "is deleted"),
        ({"records/old/more.log": b""}, "records/old/more.log", "no submission.toml"),
        ({"records/old/submission.toml": b""}, "records/old/submission.toml", "folder that stands"),
        ({"README.md": (LINK, b"gate.toml")}, "README.md", "into something else"),
        ({"submissions/mine/l": (LINK, b"/etc/passwd")}, "submissions/mine/l", "a symbolic link"),
        ({"submissions/mine/s": (SUBMODULE, b"1" * 40)}, "submissions/mine/s", "a submodule"),
        ({"submissions/stray.txt": b""}, "submissions/stray.txt", "belongs to no submission"),
        ({"submissions": b""}, "submissions", "is outside"),
        ({"submissionsx/a/submission.toml": b""}, "submissionsx/a/submission.toml", "is outside"),
    ],
)
def test_each_trespass_has_its_sentence_beside_an_honest_folder(pulls, files, path, words):
    new = {} if "submissions" in files else NEW
    scope = look(pulls, {**new, **files})
    assert list(problems(scope)) == [path]
    assert words in problems(scope)[path]
    # What is honest is judged all the same.
    assert [u.name for u in scope.units] == (["submissions/mine"] if new else [])


def test_a_folder_directly_at_the_root_of_all_is_none(pulls):
    scope = look(pulls, {"records/submission.json": b"{}", "records/a.log": b""})
    assert set(problems(scope)) == {"records/submission.json", "records/a.log"}
    assert scope.units == ()


def test_a_record_in_a_submission_and_one_that_is_both(pulls):
    scope = look(
        pulls,
        {
            "records/both/submission.json": b"{}",
            "records/both/submission.toml": b"",
            "submissions/a/submission.toml": b"",
            "submissions/a/out/submission.json": b"{}",
            "submissions/a/out/deep/submission.toml": b"",
        },
    )
    assert problems(scope) == {}
    found = {(u.kind, u.name): sorted(f.shown for f in u.files) for u in scope.units}
    assert set(found) == {
        ("submission", "records/both"),
        ("record", "records/both"),
        ("submission", "submissions/a"),
        ("record", "submissions/a/out"),
    }
    assert len(found["submission", "submissions/a"]) == 3  # the inner manifest is the outer's file


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"submissions/mine/" + b"n" * 4096, "a name of 4,096 bytes in a path of 4,113"),
        (b"submissions/mine/" + b"/".join([b"d" * 200] * 6), "200 bytes in a path of 1,222"),
        (b"submissions/mine/\xff\xfe", "not UTF-8"),
        (b"submissions/mine/\x1b[31mred", "characters that are refused"),
        ("submissions/mine/‮exe.txt".encode(), "characters that are refused"),
        (b"submissions/mine/a\nb", "characters that are refused"),
        (b"submissions/mine/a\\b", "characters that are refused"),
        (b"submissions/mine/.GIT/config", "no path may have"),
        (b"submissions/mine/.git. /config", "no path may have"),
        (b"submissions/mine/git~1", "no path may have"),
        (b"submissions/mine/con.txt", "no path may have"),
        (b"submissions/mine/ends with a dot.", "no path may have"),
        (b"submissions/mine/a:b", "characters that are refused"),
    ],
)
def test_names_that_are_refused(pulls, name, words):
    scope = look(pulls, {**NEW, name: b""})
    (problem,) = problems(scope).values()
    assert words in problem


def test_five_thousand_files_are_one_sentence_and_nothing_is_judged(pulls):
    files = {f"submissions/mine/f{n}": b"" for n in range(5000)}
    scope = look(pulls, {**NEW, **files})
    assert scope.units == ()
    assert not scope.empty
    assert scope.findings[1].status is Status.FAIL
    assert (
        scope.findings[1].message
        == "5,002 paths are changed, more than 1,000; nothing of it was judged: add less at a time"
    )


def test_each_folder_takes_its_time_so_there_are_few(pulls):
    files = {f"submissions/m{n}/submission.toml": b"" for n in range(5)}
    scope = look(pulls, files)
    assert scope.findings[1].message.startswith("5 folders are added, more than 4; nothing")
    assert scope.units == ()
    both = {
        f"records/m{n}/{mark}": b""
        for n in range(4)
        for mark in ("submission.toml", "submission.json")
    }
    assert len(look(pulls, both).units) == 8  # four folders, each of them both


def test_bytes_are_those_of_the_contents(pulls):
    settings = Settings(max_bytes=1000)
    big = {**NEW, "submissions/mine/w.bin": b"\0" * 998}
    assert look(pulls, big, settings=settings).findings[1].status is Status.PASS
    over = {**NEW, "submissions/mine/w.bin": b"\0" * 999}
    found = look(pulls, over, settings=settings).findings[1]
    assert found.status is Status.FAIL
    assert found.measured == 1001
    assert "1,001 bytes are added, more than 1,000" in found.message


@pytest.mark.parametrize("mark", ["submission.toml", "submission.json"])
def test_nothing_is_added_within_what_is_somebody_elses(pulls, mark):
    base = {
        **BASE,
        f"submissions/theirs/{mark}": b"",
        "submissions/theirs/train.py": b"import torch",
    }
    inner = "submissions/theirs/torch"
    scope = look(pulls, {f"{inner}/submission.json": b"{}", f"{inner}/__init__.py": b""}, base=base)
    assert set(problems(scope)) == {f"{inner}/submission.json", f"{inner}/__init__.py"}
    assert (
        "lies in submissions/theirs, which is somebody's" in problems(scope)[f"{inner}/__init__.py"]
    )
    # A folder of the base that is nobody's holds as many as are added.
    group = {**BASE, "records/track/README.md": b""}
    assert problems(look(pulls, {"records/track/mine/submission.json": b"{}"}, base=group)) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("submissions/mine/Train.py", "submissions/mine/TRAIN.py"),
        ("submissions/mine/\u00e9", "submissions/mine/e\u0301"),
        ("submissions/mine/sub/a", "submissions/mine/SUB/b"),
    ],
)
def test_of_two_spellings_one_is_refused(pulls, one, other):
    scope = look(pulls, {**NEW, one: b"1", other: b"2"})
    (problem,) = problems(scope).values()
    assert "to file systems that fold names" in problem


def test_a_spelling_of_what_stands_is_refused(pulls):
    scope = look(pulls, {"records/OLD/submission.json": b"{}"})
    (problem,) = problems(scope).values()
    assert problem.startswith("is records/old to file systems")


def test_a_tree_that_is_millions_of_paths_is_not_listed(pulls):
    repository = Repository(pulls.folder)
    first = pulls.commit("main", BASE)
    blob = pulls.commit("pull", {f"submissions/m/{n}": b"" for n in range(300)}, parent=first)
    settings = Settings(max_files=10)
    scope = scope_of(repository, settings, base=first, merge_base=first, head=blob)
    assert scope.findings[1].message.startswith("200 paths or more are changed, more than 10")
    assert scope.units == ()


def test_nothing_added_and_nothing_wrong_is_empty(pulls):
    scope = look(pulls, {})
    assert scope.empty
    assert scope.findings[0].status is Status.NOT_RUN
    assert not look(pulls, {"README.md": b"x"}).empty


def test_what_the_base_gained_since_counts_as_standing(pulls):
    first = pulls.commit("main", BASE)
    head = pulls.commit("pull", NEW, parent=first)
    base = pulls.commit("main", {"submissions/mine/submission.toml": b"theirs"}, parent=first)
    repository = Repository(pulls.folder)
    scope = scope_of(repository, Settings(), base=base, merge_base=first, head=head)
    assert all("stands on the base" in problem for problem in problems(scope).values())
    assert len(problems(scope)) == 2


def test_moving_somebody_elses_folder_is_deleting_it(pulls):
    moved = {
        "records/old/submission.json": None,
        "records/old/train.log": None,
        "records/new/submission.json": b"{}",
        "records/new/train.log": b"log",
    }
    scope = look(pulls, moved)
    assert set(problems(scope)) == {"records/old/submission.json", "records/old/train.log"}
    assert [u.name for u in scope.units] == ["records/new"]


PATHS = st.lists(
    st.sampled_from(
        [b"submissions", b"records", b"a", b"b", b"submission.toml", b"submission.json"]
    ),
    min_size=1,
    max_size=5,
).map(b"/".join)


@given(
    st.dictionaries(
        PATHS, st.tuples(st.sampled_from("AMDT"), st.sampled_from(["100644", "120000"]))
    ),
    st.frozensets(PATHS),
)
def test_every_change_is_a_trespass_or_belongs_to_a_new_folder(changed, standing):
    changes = [
        Change(path=path, status=status, mode=mode, blob="0" * 40)
        for path, (status, mode) in changed.items()
    ]
    trespasses, units = divide(changes, ("submissions", "records"), standing)
    refused = {each.path for each in trespasses}
    owned = [file for unit in units for file in unit.files]
    assert refused.isdisjoint(file.shown for file in owned)
    assert refused | {file.shown for file in owned} == {change.shown for change in changes}
    for unit in units:
        assert unit.path not in standing
        assert unit.path.startswith((b"submissions/", b"records/"))
        assert all(file.status == "A" and file.mode == "100644" for file in unit.files)
        assert all(file.path.startswith(unit.path + b"/") for file in unit.files)


@given(
    st.lists(
        st.tuples(st.binary(min_size=1).filter(lambda b: b"\0" not in b), st.sampled_from("AMDT"))
    )
)
def test_gits_listing_is_read_whatever_the_names(listed):
    raw = b"".join(
        b":100644 100755 "
        + b"0" * 40
        + b" "
        + b"1" * 40
        + f" {status}".encode()
        + b"\0"
        + path
        + b"\0"
        for path, status in listed
    )
    stream = _fields(io.BytesIO(raw))
    assert [(c.path, c.status, c.mode) for c in _changes(stream)] == [
        (path, status, "100755") for path, status in listed
    ]


def test_a_repository_that_is_none(tmp_path):
    with pytest.raises(UsageError, match="no such folder; name a git repository"):
        Repository(tmp_path / "missing")
    with pytest.raises(UsageError, match="not a git repository"):
        Repository(tmp_path)


def test_commits_that_are_none(pulls):
    pulls.commit("main", BASE)
    pulls.commit("other", BASE)
    lone = pulls.commit("lone", {"x": b""})
    repository = Repository(pulls.folder)
    for ref in (
        "nowhere",
        "--upload-pack=touch x",
        "main:README.md",
        "",
        "main^{tree}",
        "main..other",
    ):
        with pytest.raises(UsageError, match=r"no such commit here|does not name one commit"):
            repository.commit(ref, "--head")
    with pytest.raises(UsageError, match="no commit in common"):
        repository.merge_base(repository.commit("main", "--base"), lone)
    with pytest.raises(UsageError, match="cannot be asked that"):
        repository.commit("a\0b", "--head")


def test_merges_that_cross_are_refused(pulls):
    """With two commits to have left from, a merge may take back what neither difference shows."""
    first = pulls.commit("start", BASE)
    one = pulls.commit("one", {"other.md": b""}, parent=first)
    two = pulls.commit("two", {"gate.toml": b"schema = 1\nmax_folders = 1\n"}, parent=first)
    both = {"other.md": b"", "gate.toml": b"schema = 1\nmax_folders = 1\n"}
    base = pulls.merge("main", both, one, two)
    head = pulls.merge("pull", {**NEW, "other.md": b""}, one, two)
    repository = Repository(pulls.folder)
    with pytest.raises(UsageError, match=r"left --base at 2 commits at once.*rebase it"):
        repository.merge_base(base, head)


def test_export_writes_files_and_nothing_over_another(pulls, tmp_path):
    first = pulls.commit("main", BASE)
    head = pulls.commit(
        "pull", {"submissions/m/submission.toml": b"1\n2", "submissions/m/e": b""}, parent=first
    )
    repository = Repository(pulls.folder)
    changes = repository.changes(first, head, most=9)
    targets = [tmp_path / "out" / str(number) for number in range(len(changes))]
    repository.export([(c.blob, t) for c, t in zip(changes, targets, strict=True)])
    assert sorted(t.read_bytes() for t in targets) == [b"", b"1\n2"]
    with pytest.raises(FileExistsError):
        repository.export([(changes[0].blob, targets[0])])
    with pytest.raises(JudgeError, match="fetch the head"):
        repository.export([("1" * 40, tmp_path / "x")])
    with pytest.raises(JudgeError, match="fetch the head"):
        repository.sizes(["1" * 40])


def test_units_are_named_as_text():
    assert Unit(kind="record", path=b"records/\xff", files=()).name == "records/\\xff"
