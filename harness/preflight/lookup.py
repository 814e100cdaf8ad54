"""Where Python would find a module that a submission's process asks for, told from names of files alone.

In the order in which a process looks: the folder that it starts in or its script's own, the folders of its
own PYTHONPATH, `harness.sdk` and the ruleset's project packages, the pinned packages, the standard library.
Built-in modules come before all. What an installed package has inside is not looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from harness.packages import Missing, Pinned

SDK = ("harness", "harness.sdk")

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "attrs": ("attr", "attrs"),
    "beautifulsoup4": ("bs4",),
    "brotli": ("brotli", "_brotli"),
    "flash-attn": ("flash_attn", "flash_attn_2_cuda"),
    "flash-attn-4": ("flash_attn",),
    "msgpack-python": ("msgpack",),
    "opencv-python": ("cv2",),
    "opencv-python-headless": ("cv2",),
    "pillow": ("PIL",),
    "protobuf": ("google",),
    "python-dateutil": ("dateutil",),
    "pyyaml": ("yaml",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "setuptools": ("setuptools", "pkg_resources"),
    "torch": ("torch", "torchgen", "functorch"),
    "nvidia-cutlass-dsl": ("cutlass",),
    "quack-kernels": ("quack",),
    "apache-tvm-ffi": ("tvm_ffi",),
}
"""Import names of distributions that are called otherwise, for those that are not installed."""

DRAWS_IN: Mapping[str, tuple[str, ...]] = {
    "brotli": (),
    "flash-attn": ("torch", "einops"),
    "flash-attn-4": (
        *("nvidia-cutlass-dsl", "torch", "einops", "typing-extensions", "apache-tvm-ffi"),
        *("torch-c-dlpack-ext", "quack-kernels"),
    ),
    "numpy": (),
    "sentencepiece": (),
    "torch": (
        *(
            "filelock",
            "fsspec",
            "jinja2",
            "markupsafe",
            "mpmath",
            "networkx",
            "setuptools",
            "sympy",
        ),
        *("triton", "typing-extensions"),
    ),
    "triton": (),
}
"""What distributions that may not be installed would bring along. Of one that is not listed here anything
might come, so that a name which nothing else provides may still be its."""

_NO_MODULE = re.compile(
    r".*\.(?:dist-info|egg-info|libs|data|pth)|__pycache__|bin|share|include|etc"
)
_COMPILED = re.compile(r"(?:\.[A-Za-z0-9_-]+)*\.so$")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a folder, by relative path, and how they are imported."""

    names: frozenset[str]
    folders: frozenset[str] = field(init=False)
    compiled: Mapping[str, str] = field(init=False)
    """Path of a compiled module without its ending -> its path."""

    def __post_init__(self) -> None:
        """Work out folders and compiled modules."""
        folders = {str(up) for name in self.names for up in PurePosixPath(name).parents}
        compiled = {
            name[: ending.start()]: name
            for name in sorted(self.names)
            if (ending := _COMPILED.search(name, name.rfind("/") + 1))
        }
        object.__setattr__(self, "folders", frozenset(folders))
        object.__setattr__(self, "compiled", compiled)

    def module(self, root: str, dotted: str) -> str | None:
        """Return the file that importing `dotted` from below `root` runs.

        "" for a folder without an __init__.py, None where there is no such module. `root` is "" for the
        folder itself.
        """
        path = "/".join(filter(None, (root, dotted.replace(".", "/"))))
        for name in (f"{path}/__init__.py", self.compiled.get(path), f"{path}.py", f"{path}.pyc"):
            if name in self.names:
                return name
        return "" if path in self.folders else None


@dataclass(frozen=True, slots=True)
class Provided:
    """What the ruleset provides on this machine, and what it would where it is installed."""

    installed: frozenset[str]
    """Import names."""
    missing: Mapping[str, Missing]
    """Import name -> the package that would bring it."""
    unknown: tuple[Missing, ...]
    """Packages that are not installed, of which nobody knows what they bring along."""
    project: frozenset[str]


def provided(pinned: Pinned, project: Iterable[str]) -> Provided:
    """Return what may be imported beside a submission's own files and the standard library."""
    installed = {
        name
        for package in pinned.packages
        for entry in package.entries
        if (name := _import_name(entry))
    }
    missing: dict[str, Missing] = {}
    for gap in pinned.missing:
        missing |= {name: gap for name in _names_of(gap.name) if name not in missing}
    for gap in pinned.missing:
        brought = [name for other in DRAWS_IN.get(gap.name, ()) for name in _names_of(other)]
        missing |= {name: gap for name in brought if name not in missing}
    return Provided(
        installed=frozenset(installed),
        missing=missing,
        unknown=tuple(gap for gap in pinned.missing if gap.name not in DRAWS_IN),
        project=frozenset(project),
    )


def is_standard(name: str) -> bool:
    """Return whether a top-level name is one of this Python's own."""
    return name in sys.stdlib_module_names or name in sys.builtin_module_names


def remedy(gap: Missing) -> str:
    """Return the command that installs a package as the ruleset asks for it."""
    return f"pip install '{gap.requirement}'"


def _import_name(entry: str) -> str | None:
    first, *rest = entry.split("/")
    if _NO_MODULE.fullmatch(first):
        return None
    name = first if rest else first.split(".")[0]
    return name if name.isidentifier() else None


def _names_of(distribution: str) -> tuple[str, ...]:
    plain = canonicalize_name(distribution)
    return OTHER_NAMES.get(plain, (plain.replace("-", "_"),))
