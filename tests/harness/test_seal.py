"""What the judge copies and counts, and everything odd that it refuses to."""

import hashlib
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Artifact
from harness import manifest, seal
from harness.errors import JudgeError
from harness.seal import remove, snapshot, verify
from tests.strategies import lay, trees


def declared(code, output, package="") -> manifest.Manifest:
    return manifest.Manifest(
        schema=1,
        name="x",
        train=manifest.Train(command=("python",)),
        artifact=manifest.ArtifactFiles(code=tuple(code), output=tuple(output)),
        score=manifest.ScoreCommand(command=("python",), block_tokens=1),
        package=package,
    )


MANIFEST_TEXT = b"# ten bytes"


def sealed(
    folder: Path, code=(), output=(), *, package="", cap_bytes=1 << 20, refused=None
) -> Artifact:
    """Seal FOLDER/code and FOLDER/output into FOLDER/sealed."""
    for name in ("code", "output"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "code" / "submission.toml").write_bytes(MANIFEST_TEXT)
    return seal.seal(
        declared(code, output, package),
        code=folder / "code",
        refused=refused or {},
        output=folder / "output",
        into=folder / "sealed",
        cap_bytes=cap_bytes,
        tokenizer_bytes=0,
    )


def modes(root: Path) -> set[tuple[bool, str]]:
    return {(path.is_dir(), oct(stat.S_IMODE(path.stat().st_mode))) for path in root.rglob("*")}


@given(trees(), trees(), st.sampled_from(["", "mine"]))
@settings(max_examples=40)
def test_every_byte_that_crosses_is_counted_and_nothing_else(
    tmp_path_factory, code, output, package
):
    folder = tmp_path_factory.mktemp("seal")
    laid = {f"{package}/{name}" if package else name for name in code}
    output = {
        name: content
        for name, content in output.items()
        if not any(
            name == other or name.startswith(f"{other}/") or other.startswith(f"{name}/")
            for other in laid
        )
    }
    lay(folder / "code", {**code, "undeclared.py": b"never"})
    lay(folder / "output", {**output, "undeclared.bin": b"never"})
    artifact = sealed(folder, code, output, package=package)
    try:
        assert artifact.refusals == ()
        expected = {
            f"{package}/{name}" if package else name: content for name, content in code.items()
        }
        expected |= output
        assert artifact.total_bytes == sum(map(len, expected.values())) + len(MANIFEST_TEXT)
        assert {
            f.path: (f.size_bytes, f.sha256) for f in artifact.files if f.origin != "manifest"
        } == {
            name: (len(content), hashlib.sha256(content).hexdigest())
            for name, content in expected.items()
        }
        assert {
            path.relative_to(folder / "sealed").as_posix(): path.read_bytes()
            for path in (folder / "sealed").rglob("*")
            if path.is_file()
        } == expected
        assert modes(folder / "sealed") <= {(True, "0o555"), (False, "0o444")}
        assert {path.stat().st_mtime for path in (folder / "sealed").rglob("*")} <= {0.0}
        verify(artifact, folder / "sealed")
    finally:
        remove(folder / "sealed")


def test_the_same_bytes_give_the_same_digest_whatever_their_dates(tmp_path):
    tree = {"a.py": b"one", "sub/b.py": b"two"}
    digests = set()
    for number in range(2):
        folder = lay(tmp_path / str(number) / "code", tree).parent
        for path in folder.rglob("*"):
            os.utime(path, (number * 1000, number * 1000))
        artifact = sealed(folder, reversed(sorted(tree)) if number else sorted(tree))
        digests.add(artifact.digest)
    assert len(digests) == 1
    moved = lay(tmp_path / "moved" / "code", {"c.py": b"one", "sub/b.py": b"two"}).parent
    assert sealed(moved, ["c.py", "sub/b.py"]).digest not in digests


def test_a_program_stays_a_program(tmp_path):
    """A scorer may be one: `score.command = ["./scorer"]`."""
    code = lay(tmp_path / "mine", {"run": b"#!/bin/sh\nexit 7\n", "data": b""})
    (code / "run").chmod(0o700)
    snapshot(code, tmp_path / "code")
    artifact = sealed(tmp_path, ["run", "data"])
    assert artifact.refusals == ()
    assert stat.S_IMODE((tmp_path / "sealed" / "run").stat().st_mode) == 0o555
    assert stat.S_IMODE((tmp_path / "sealed" / "data").stat().st_mode) == 0o444
    assert subprocess.run([tmp_path / "sealed" / "run"]).returncode == 7


# --- what is refused ---


def make_device(path):
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: endless, if it were read


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_sparse(path):
    with path.open("wb") as file:
        file.seek(1 << 16)
        file.write(b"end")


def make_hole_at_the_end(path):
    path.write_bytes(b"start")
    os.truncate(path, 1 << 16)


def make_hard_link(path):
    (path.parent / "other").write_bytes(b"x")
    os.link(path.parent / "other", path)


def make_link(target):
    return lambda path: path.symlink_to(target)


ODD = {
    "link to a file": (make_link("real"), "is a symbolic link"),
    "link to a folder": (make_link("/etc"), "is a symbolic link"),
    "link to a device": (make_link("/dev/zero"), "is a symbolic link"),
    "dangling link": (make_link("/nowhere"), "is a symbolic link"),
    "link to itself": (make_link("odd"), "is a symbolic link"),
    "pipe": (os.mkfifo, "is not a regular file"),
    "socket": (make_socket, "is not a regular file"),
    "folder": (Path.mkdir, "is not a regular file"),
    "device": (make_device, "is not a regular file"),
    "sparse": (make_sparse, "is sparse"),
    "hole at the end": (make_hole_at_the_end, "is sparse"),
    "hard link": (make_hard_link, "has several names (hard links)"),
    "absent": (lambda path: None, "is not there"),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_refused_and_not_copied(tmp_path, kind):
    make, says = ODD[kind]
    if make is make_device and os.geteuid() != 0:
        pytest.skip("needs root to make a device")
    output = lay(tmp_path / "output", {"real": b"honest", "deep/real": b"deeper"})
    make(output / "odd")
    before = len(os.listdir("/proc/self/fd"))
    artifact = sealed(tmp_path, (), ["real", "odd", "deep/real"])
    assert artifact.refusals == (f"output odd: {says}",)
    assert len(os.listdir("/proc/self/fd")) == before
    assert not (tmp_path / "sealed" / "odd").exists()
    assert artifact.total_bytes == len(b"honest") + len(b"deeper") + len(MANIFEST_TEXT)


def test_a_link_anywhere_on_the_way_is_refused(tmp_path):
    elsewhere = lay(tmp_path / "elsewhere", {"w": b"x", "in/w": b"x"})
    output = tmp_path / "output"
    output.mkdir()
    (output / "sub").symlink_to(elsewhere)
    artifact = sealed(tmp_path, (), ["sub/w", "sub/in/w"])
    assert artifact.refusals == (
        "output sub/w: is a symbolic link",
        "output sub/in/w: is a symbolic link",
    )


def test_an_output_folder_that_was_exchanged_for_a_link_is_refused(tmp_path):
    lay(tmp_path / "validation", {"val.bin": b"the answers"})
    (tmp_path / "output").symlink_to(tmp_path / "validation")
    artifact = sealed(tmp_path, (), ["val.bin"])
    assert len(artifact.refusals) == 1
    assert not (tmp_path / "sealed" / "val.bin").exists()


def test_an_output_folder_that_was_deleted_is_a_refusal(tmp_path, monkeypatch):
    real = Path.mkdir
    monkeypatch.setattr(
        Path, "mkdir", lambda self, *a, **k: None if self.name == "output" else real(self, *a, **k)
    )
    artifact = sealed(tmp_path, (), ["w"])
    assert artifact.refusals == ("output w: No such file or directory",)


def test_a_file_where_a_folder_is_declared_is_refused(tmp_path):
    lay(tmp_path / "output", {"sub": b"a file"})
    assert sealed(tmp_path, (), ["sub/w"]).refusals == ("output sub/w: Not a directory",)


@pytest.mark.parametrize("swap", ["link", "pipe", "folder"])
def test_a_file_exchanged_between_the_look_and_the_opening(tmp_path, monkeypatch, swap):
    """The look says "regular file"; what is opened then is judged again, through its descriptor."""
    output = lay(tmp_path / "output", {"w": b"honest"})
    lay(tmp_path, {"secret": b"secret"})
    real = os.open

    def exchange(path, flags, *rest, **named):
        if path == "w":
            (output / "w").unlink()
            {
                "link": lambda: (output / "w").symlink_to(tmp_path / "secret"),
                "pipe": lambda: os.mkfifo(output / "w"),
                "folder": lambda: (output / "w").mkdir(),
            }[swap]()
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", exchange)
    artifact = sealed(tmp_path, (), ["w"])
    assert len(artifact.refusals) == 1
    assert not (tmp_path / "sealed" / "w").exists()


def test_nothing_larger_than_four_caps_is_copied(tmp_path):
    lay(tmp_path / "output", {"fits": b"x" * 400, "huge": b"x" * 401})
    artifact = sealed(tmp_path, (), ["fits", "huge"], cap_bytes=100)
    assert artifact.refusals == (
        "output huge: is 401 bytes, far more than the cap; it was not copied",
    )
    assert artifact.total_bytes == 400 + len(MANIFEST_TEXT)


def test_a_file_that_grows_while_it_is_copied_is_refused(tmp_path, monkeypatch):
    lay(tmp_path / "output", {"w": b"x" * 100})
    real = os.read

    def grow(descriptor, size):
        chunk = real(descriptor, size)
        if chunk:
            with (tmp_path / "output" / "w").open("ab") as file:
                file.write(b"y" * 400)
        return chunk

    monkeypatch.setattr(seal.os, "read", grow)
    assert sealed(tmp_path, (), ["w"], cap_bytes=100).refusals == (
        "output w: grew while it was being copied",
    )


def test_a_full_disk_is_the_judges_trouble_not_a_finding(tmp_path, monkeypatch):
    lay(tmp_path / "output", {"w": b"x" * 100})

    def full(out, chunk):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seal, "_write_all", full)
    with pytest.raises(JudgeError, match="No space left on device; make room"):
        sealed(tmp_path, (), ["w"])


def test_code_that_was_a_link_in_the_folder_is_named_as_one(tmp_path):
    """In the judge's copy it is merely absent."""
    submission = lay(tmp_path / "mine", {"real.py": b"x", "submission.toml": MANIFEST_TEXT})
    (submission / "score.py").symlink_to("real.py")
    (submission / "lib").symlink_to("/usr/lib")
    copied = snapshot(submission, tmp_path / "run" / "code")
    assert copied.refused == {"score.py": "is a symbolic link", "lib": "is a symbolic link"}
    (tmp_path / "run" / "output").mkdir()
    artifact = sealed(
        tmp_path / "run", ["real.py", "score.py", "lib/os.py"], refused=copied.refused
    )
    assert artifact.refusals == (
        "code score.py: is a symbolic link",
        "code lib/os.py: is a symbolic link",
    )


# --- the sealed copy afterwards ---


def write_to(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"xx")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda root: write_to(root / "sub" / "w"), "sub/w: no longer what was sealed"),
        (lambda root: (root / "sub" / "w").unlink(), "sub/w: no longer what was sealed"),
        (lambda root: ((root / "a").unlink(), (root / "a").symlink_to("b")), "a: no longer what"),
        (lambda root: (root / "notes").write_bytes(b""), "notes: was not sealed; .* TMPDIR"),
        (lambda root: (root / "sub" / "notes").mkdir(), "sub/notes: was not sealed"),
        (lambda root: (root / "notes").symlink_to("a"), "notes: was not sealed"),
        (lambda root: (root / "submission.toml").write_bytes(MANIFEST_TEXT), "was not sealed"),
    ],
)
def test_verify_notices_any_change(tmp_path, change, says):
    lay(tmp_path / "output", {"a": b"11", "b": b"11", "sub/w": b"22"})
    artifact = sealed(tmp_path, (), ["a", "b", "sub/w"])
    root = tmp_path / "sealed"
    verify(artifact, root)
    root.chmod(0o755)
    (root / "sub").chmod(0o755)
    verify(artifact, root)
    change(root)
    with pytest.raises(JudgeError, match=says):
        verify(artifact, root)
