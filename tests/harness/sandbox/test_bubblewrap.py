"""The command line of bubblewrap: what is mounted in which order, and that little can be written."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox.bubblewrap import SHIM_AT, arguments
from harness.sandbox.sight import Sight

TAKES = {
    **dict.fromkeys(
        "--ro-bind --ro-bind-try --bind --dev-bind-try --symlink".split(), 2
    ),
    **dict.fromkeys(
        "--proc --dev --tmpfs --dir --perms --size --hostname --remount-ro --cap-drop --cap-add".split(), 1
    ),
    **dict.fromkeys(
        (
            "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts "
            "--unshare-cgroup-try --die-with-parent --as-pid-1"
        ).split(),
        0,
    ),
}  # fmt: skip
MOUNTS = ("--ro-bind", "--ro-bind-try", "--bind", "--dev-bind-try", "--tmpfs", "--proc", "--dev")

parts = st.sampled_from(["a", "b", "c", "site-packages", "tmp"])
folders = st.lists(parts, min_size=1, max_size=4).map(lambda names: Path("/", *names))
several = st.lists(folders, max_size=4, unique=True)


def options(line):
    """Return (option, its words) in order."""
    found, at = [], 1
    while line[at] != "--":
        count = TAKES[line[at]]
        found.append((line[at], line[at + 1 : at + 1 + count]))
        at += 1 + count
    assert at == len(line) - 1
    return found


def made(*, root=False, shown=(), hidden=(), entries=(), writable=(), gpus=()):
    sight = Sight(
        links=(("/bin", "usr/bin"),),
        shown=tuple(shown),
        hidden=tuple(hidden),
        entries=tuple(entries),
        gpus=tuple(gpus),
    )
    line = arguments(
        "/usr/bin/bwrap",
        sight,
        root=root,
        shim=Path("/judge/shim.py"),
        writable=writable,
        memory_bytes=1000,
    )
    assert line[0] == "/usr/bin/bwrap"
    return options(line)


@given(several, several, several, several, st.booleans())
def test_only_what_is_given_can_be_written(shown, hidden, entries, writable, root):
    said = made(
        root=root,
        shown=shown,
        hidden=hidden,
        entries=entries,
        writable=writable,
    )
    bound = [words[1] for option, words in said if option == "--bind"]
    assert bound == [str(path) for path in writable]
    # What is made in memory ends read-only, but for the two that are for writing.
    memory = {words[0] for option, words in said if option == "--tmpfs"}
    closed = {words[0] for option, words in said if option == "--remount-ro"}
    assert memory - closed == {"/tmp", "/dev/shm"} - closed
    assert closed == {"/", "/sys/fs/cgroup", *map(str, hidden)}


@given(several, several, several, several)
def test_what_hides_comes_after_what_shows_and_what_is_given_last(shown, hidden, entries, writable):
    said = made(shown=shown, hidden=hidden, entries=entries, writable=writable)
    order = [(option, words[-1]) for option, words in said if option in MOUNTS]
    at = {}
    for place, (option, where) in enumerate(order):
        at.setdefault((option, where), []).append(place)
    last_shown = max([at["--ro-bind", str(path)][0] for path in shown], default=-1)
    first_hidden = min([at["--tmpfs", str(path)][-1] for path in hidden], default=len(order))
    last_hidden = max([at["--tmpfs", str(path)][-1] for path in hidden], default=-1)
    assert last_shown < first_hidden
    for path in entries:
        assert at["--ro-bind", str(path)][-1] > last_hidden
    for path in writable:
        assert at["--bind", str(path)][0] > max(
            map(max, (at[key] for key in at if key[0] != "--bind"))
        )
    # Whatever lies below /tmp or /dev is mounted over them, not under.
    for over in (("--tmpfs", "/tmp"), ("--dev", "/dev"), ("--proc", "/proc")):
        assert at[over][0] < min(
            [at["--ro-bind", str(path)][0] for path in shown], default=len(order)
        )


@given(several, several)
def test_every_parent_is_made_before_what_lies_in_it(shown, writable):
    """Left to itself, bubblewrap makes them for root alone."""
    there = {"/"}
    for option, words in made(shown=shown, writable=writable):
        if option == "--dir":
            assert str(Path(words[0]).parent) in there
            there.add(words[0])
        elif option in ("--bind", "--ro-bind") and words[1] not in (SHIM_AT, "/proc/vmstat"):
            assert str(Path(words[1]).parent) in there
            there.add(words[1])


def test_root_keeps_what_a_change_of_user_takes_and_no_user_namespace():
    said = made(root=True)
    kept = {words[0] for option, words in said if option == "--cap-add"}
    assert kept == {"CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"}
    assert "--unshare-user" not in dict(said)


def test_a_user_keeps_nothing():
    said = dict(made(root=False))
    assert "--unshare-user" in said
    assert "--cap-add" not in said
    assert said["--cap-drop"] == ["ALL"]


def test_every_namespace_is_a_new_one_and_ends_with_its_keeper():
    said = dict(made())
    for name in ("pid", "net", "ipc", "uts"):
        assert f"--unshare-{name}" in said
    assert "--die-with-parent" in said
    assert "--as-pid-1" in said


def test_sizes_belong_to_the_folder_that_follows():
    said = made()
    for place, (option, words) in enumerate(said):
        if option == "--size":
            assert said[place + 1][0] == "--tmpfs"
            assert words[0] == {"/dev/shm": "500", "/tmp": str(1 << 30)}[said[place + 1][1][0]]
            assert said[place - 1] == ("--perms", ["1777"])


def test_gpus_are_devices():
    said = made(gpus=[Path("/dev/nvidia0")])
    assert ("--dev-bind-try", ["/dev/nvidia0", "/dev/nvidia0"]) in said
    assert ("--symlink", ["usr/bin", "/bin"]) in said
