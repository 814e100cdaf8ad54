"""Which paths of the machine a submission's process sees: the system, the interpreter, the pinned packages.

Site folders are hidden whole and only the entries of pinned packages are shown in them, at the paths where
they are, so that a process sees the same paths with every mechanism. Nothing here is opened or restricted:
harness.sandbox.cell hands the lists to the mechanism.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
SETTINGS = (
    # No host keys, no accounts' secrets, no package sources: what a linker, a resolver of users, locales
    # and a compiler read.
    "alternatives ld.so.cache ld.so.conf ld.so.conf.d localtime nsswitch.conf host.conf hosts passwd group "
    "protocols services os-release debian_version"
).split()
TEXTS = "doc doc-base man info dict hunspell myspell python-wheels games help src".split()
DEVICES = ("null", "zero", "full", "random", "urandom")
GPU_DEVICES = (
    "nvidia[0-9]*",
    "nvidiactl",
    "nvidia-uvm",
    "nvidia-uvm-tools",
    "nvidia-nvswitch*",
    "nvidia-caps-imex-channels",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What every process of a submission may read, whatever its phase."""

    links: tuple[tuple[str, str], ...]
    """Symbolic links at the top: (where, to)."""
    shown: tuple[Path, ...]
    """Read-only, with all below."""
    hidden: tuple[Path, ...]
    """Folders below `shown` that appear empty."""
    entries: tuple[Path, ...]
    """Files and folders below `hidden` that are shown after all."""
    gpus: tuple[Path, ...]
    """Device files, read and write."""


def sight(entries: Iterable[Path], libraries: str = "", closed: Iterable[Path] = ()) -> Sight:
    """Return what this machine has to show; `entries` are those of the pinned packages.

    `libraries` is the judge's LD_LIBRARY_PATH, whose folders are shown. `closed` are folders that stay hidden
    even where they lie below a folder that is shown, as the data would in a project that is its own virtual
    environment.
    """
    system = [Path(path) for path in SYSTEM]
    links = [(str(path), str(path.readlink())) for path in system if path.is_symlink()]
    shown = [path for path in system if path.is_dir() and not path.is_symlink()]
    shown += [path for name in SETTINGS if (path := Path("/etc") / name).exists()]
    shown += [Path(part) for part in libraries.split(":") if part.startswith("/")]
    shown += interpreter()
    kept = outermost(path for path in shown if path.exists())
    hidden = {
        *site_folders(),
        *texts(),
        *(path.resolve() for path in closed if _overlaps(path, kept)),
    }
    return Sight(
        links=tuple(links),
        shown=kept,
        hidden=tuple(sorted(hidden)),
        entries=tuple(sorted(set(entries))),
        gpus=tuple(sorted(p for name in GPU_DEVICES for p in Path("/dev").glob(name))),
    )


def interpreter() -> list[Path]:
    """Return the folders of the interpreter that submissions are run by: the judge's own."""
    found = [Path(prefix) for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)]
    # A virtual environment's program is a chain of links into its base, which may lie elsewhere.
    program = Path(sys.executable)
    while program.is_symlink():
        program = program.parent / program.readlink()
        found.append(program.parent.parent)
    found.append(program.resolve().parent.parent)
    return [path for path in found if path != Path("/")]


def site_folders() -> list[Path]:
    """Return the folders in which packages are installed for any interpreter that is shown."""
    found = {Path(path) for path in site.getsitepackages()}
    found |= {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    found |= {Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    roots = {*interpreter(), Path("/usr"), Path("/usr/local")}
    for root in roots:
        for pattern in ("lib/python3*/site-packages", "lib/python3*/dist-packages"):
            found.update(root.glob(pattern))
        # Wheels that an interpreter carries along, to install its installer from.
        found.update(root.glob("lib/python3*/ensurepip/_bundled"))
        if (root / "conda-meta").is_dir():
            # Its other environments, and the packages that it keeps unpacked.
            found |= {root / "envs", root / "pkgs"}
    return sorted({path.resolve() for path in found if path.is_dir()})


def texts() -> list[Path]:
    """Return folders of prose and of sources: a language model's bytes, which nobody would have counted."""
    found = [
        Path(root) / name
        for root in ("/usr", "/usr/local", "/usr/share", "/usr/local/share")
        for name in TEXTS
    ]
    return sorted({path.resolve() for path in found if path.is_dir()})


def without(shown: Iterable[Path], hidden: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return `shown` less `hidden` for mechanisms that can only allow: (whole paths, folders to list alone).

    Links are not among them: what one leads to is allowed at its own place, or not at all.
    """
    left, out = [path.resolve() for path in shown], set(hidden)
    whole, listed = [], []
    while left:
        path = left.pop()
        if path in out:
            listed.append(path)
        elif any(path.is_relative_to(folder) for folder in out):
            continue  # shown by name, but below what is hidden
        elif any(folder.is_relative_to(path) for folder in out):
            listed.append(path)
            left += [inner for inner in path.iterdir() if not inner.is_symlink()]
        else:
            whole.append(path)
    return sorted(whole), sorted(listed)


def _overlaps(path: Path, folders: Iterable[Path]) -> bool:
    one = path.resolve()
    real = [folder.resolve() for folder in folders]
    return any(one.is_relative_to(other) or other.is_relative_to(one) for other in real)


def outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that lie below no other."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)
