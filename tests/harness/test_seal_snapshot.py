"""The judge's copy of a submission's folder: what is in it, what is left out, and how it goes again."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness import seal
from harness.errors import UsageError
from harness.seal import digest_of, remove, snapshot
from tests.strategies import lay, trees

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@given(trees())
@settings(max_examples=40)
def test_a_snapshot_holds_what_the_folder_holds(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("snap")
    taken = snapshot(lay(folder / "mine", tree), folder / "run" / "copy")
    assert taken.files == len(tree)
    assert taken.size_bytes == sum(map(len, tree.values()))
    assert taken.refused == {}
    copied = {
        path.relative_to(folder / "run" / "copy").as_posix(): path.read_bytes()
        for path in (folder / "run" / "copy").rglob("*")
        if path.is_file()
    }
    assert copied == tree
    assert digest_of(folder / "run" / "copy") == taken.digest
    again = snapshot(folder / "run" / "copy", folder / "other" / "copy")
    assert again.digest == taken.digest


@given(trees(), st.data())
@settings(max_examples=40)
def test_any_change_of_a_snapshot_changes_its_digest(tmp_path_factory, tree, data):
    folder = tmp_path_factory.mktemp("snap")
    taken = snapshot(lay(folder / "mine", tree), folder / "run" / "copy")
    root = folder / "run" / "copy"
    path = root / data.draw(st.sampled_from(sorted(tree)))
    how = data.draw(st.sampled_from(["content", "name", "gone", "more", "link"]))
    if how == "content":
        path.write_bytes(path.read_bytes() + b"!")
    elif how == "name":
        path.rename(path.with_name(f"{path.name}!"))
    elif how == "gone":
        path.unlink()
    elif how == "more":
        (root / "!").write_bytes(b"")
    else:
        (root / "!").symlink_to(path)
    assert digest_of(root) != taken.digest


def test_a_snapshot_leaves_out_what_is_hidden_cached_or_odd(tmp_path):
    mine = lay(
        tmp_path / "mine",
        {
            "a.py": b"a",
            ".git/config": b"x",
            ".hidden": b"x",
            "sub/.hidden": b"x",
            "__pycache__/a.pyc": b"x",
            "sub/__pycache__/b.pyc": b"x",
            "node_modules/x.js": b"x",
            "sub/b.py": b"b",
        },
    )
    os.mkfifo(mine / "pipe")
    (mine / "link").symlink_to("/etc/passwd")
    (mine / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    (mine / "tab\tname").write_bytes(b"x")
    taken = snapshot(mine, tmp_path / "run" / "copy")
    copied = {
        path.relative_to(tmp_path / "run" / "copy").as_posix()
        for path in (tmp_path / "run" / "copy").rglob("*")
        if not path.is_dir()
    }
    assert copied == {"a.py", "sub/b.py"}
    assert taken.files == 2
    assert taken.refused == {"pipe": "is not a regular file", "link": "is a symbolic link"}


def test_runs_inside_the_folder_are_left_out_of_its_snapshot(tmp_path):
    """`harness run` started in a submission's own folder writes its runs there."""
    mine = lay(
        tmp_path / "mine",
        {
            "a.py": b"a",
            "runs/earlier/run.json": b"{}",
            "runs/earlier/ruleset.toml": b"",
            "runs/earlier/seeds/1/sealed/w": b"x" * 1000,
        },
    )
    taken = snapshot(mine, mine / "runs" / "now" / "submission")
    assert (taken.files, taken.size_bytes) == (1, 1)
    assert digest_of(mine / "runs" / "now" / "submission") == taken.digest


def test_a_folder_that_is_no_submission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(seal, "MAX_FOLDER_FILES", 3)
    mine = lay(tmp_path / "mine", {str(n): b"" for n in range(4)})
    with pytest.raises(
        UsageError, match="more than 3 files; keep a submission in a folder of its own"
    ):
        snapshot(mine, tmp_path / "run" / "copy")


def test_remove_takes_what_is_read_only_and_follows_no_link(tmp_path):
    lay(tmp_path / "kept", {"file": b"x"})
    (tmp_path / "kept").chmod(0o700)
    lay(tmp_path / "gone", {"a/b/c": b"x"})
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    for path in (tmp_path / "gone" / "a" / "b", tmp_path / "gone" / "a", tmp_path / "gone"):
        path.chmod(0o000)
    remove(tmp_path / "gone")
    remove(tmp_path / "gone")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert (tmp_path / "kept" / "file").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


UNPRIVILEGED = """
import os, sys, tempfile
from pathlib import Path
from harness import seal
root = Path(tempfile.mkdtemp())
os.chown(root, 65534, 65534)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
(root / "mine").mkdir()
(root / "mine" / "secret").write_bytes(b"x")
(root / "mine" / "secret").chmod(0)
try:
    seal.snapshot(root / "mine", root / "run" / "copy")
except seal.UsageError as error:
    print(str(error).replace(str(root), ""))
for name in ("gone/a/b", "gone/c"):
    (root / name).mkdir(parents=True)
(root / "gone/a/b/file").write_bytes(b"x")
seal._make_read_only(root / "gone")
for attempt in (lambda: open(root / "gone/a/b/file", "ab"), lambda: open(root / "gone/new", "wb")):
    try:
        attempt()
    except PermissionError:
        print("read-only")
for name in ("gone/a/b", "gone/a", "gone/c", "gone"):
    (root / name).chmod(0)
seal.remove(root / "gone")
seal.remove(root)
print(root.exists())
"""


@as_root
def test_somebody_without_privileges_can_refuse_and_remove_as_well():
    """Root reads, writes and deletes what its mode forbids; most people are not root."""
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED],
        capture_output=True,
        text=True,
        cwd=Path(harness.__file__).parents[1],
    )
    assert done.stdout.splitlines() == [
        "/mine/secret: Permission denied; make it readable",
        "read-only",
        "read-only",
        "False",
    ], done.stderr
