"""Which file a command starts, as far as its words tell: `python FILE`, `python -m MODULE`, torchrun.

Does not look whether the file is there, and runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?")
_WITH_VALUE = frozenset("mcWX")
_LONG_WITH_VALUE = frozenset({"--check-hash-based-pycs"})
_LAUNCHERS = frozenset({"torch.distributed.run", "torch.distributed.launch"})
_LAUNCHER_SWITCHES = frozenset(
    "--standalone --run-path --run_path --virtual-local-rank --virtual_local_rank --use-env --use_env".split()
)
"""Options of torchrun that take no value; those that make it start something else come apart."""
_NO_PYTHON = frozenset({"--no-python", "--no_python"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a command starts: a file, a module, or nothing that could be told."""

    file: str = ""
    """As it is written, relative to where the command starts."""
    module: str = ""
    unread: str = ""
    """Why neither could be told, completing "train.command ..."."""
    launcher: str = ""
    """The module that starts it in its ranks; "" where Python starts it itself."""
    own_folder: bool = True
    """Whether modules are looked for beside it: not with -I or -P."""
    own_path: bool = True
    """Whether PYTHONPATH is heeded: not with -I or -E."""


def start_of(command: Sequence[str]) -> Start:
    """Return what a command line starts."""
    program, *words = command
    name = PurePosixPath(program).name
    if name == "torchrun":
        return _launched(words, "torch.distributed.run")
    if not _PYTHON.fullmatch(name):
        what = program[:200]
        return Start(unread=f"starts {what}, which is not Python; what it imports is not read")
    return _python(words)


def _python(words: Sequence[str]) -> Start:
    """Read Python's own options, as its getopt does: letters may share a word, and -m and -c end them."""
    left, flags = list(words), ""
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word.startswith("--"):
            left = left[1:] if word in _LONG_WITH_VALUE else left
            continue
        for at, letter in enumerate(word[1:], 2):
            if letter not in _WITH_VALUE:
                flags += letter
                continue
            value = word[at:] or (left.pop(0) if left else "")
            if letter == "c":
                return Start(
                    unread="starts Python with a program on its command line, which is not read"
                )
            if letter == "m":
                return _under(flags, _module(value, left))
            break
    if not left:
        return Start(unread="starts Python without a file")
    return _under(flags, _file(left[0]))


def _under(flags: str, start: Start) -> Start:
    if start.launcher:
        return start  # a launcher starts Python anew, without them
    return replace(
        start,
        own_folder=not set(flags) & {"I", "P"},
        own_path=not set(flags) & {"I", "E"},
    )


def _module(name: str, rest: Sequence[str]) -> Start:
    if not name:
        return Start(unread="names no module after -m")
    return _launched(rest, name) if name in _LAUNCHERS else Start(module=name)


def _file(word: str) -> Start:
    if word == "-":
        return Start(unread="starts Python on its standard input, which is not read")
    if PurePosixPath(word).is_absolute():
        return Start(unread=f"starts {word[:200]}, which is not a file of the submission")
    return Start(file=word)


def _launched(words: Sequence[str], launcher: str) -> Start:
    """Return what torchrun starts: options first, which take a value unless they are written with one."""
    is_module, at = False, 0
    while at < len(words):
        word = words[at]
        if word in ("-m", "--module"):
            is_module, at = True, at + 1
        elif word in _NO_PYTHON:
            return Start(unread=f"has {launcher} start another program than Python")
        elif word in _LAUNCHER_SWITCHES or (word.startswith("-") and "=" in word):
            at += 1
        elif word.startswith("-"):
            at += 2
        elif is_module:
            return Start(module=word, launcher=launcher)
        else:
            found = _file(word)
            return Start(file=found.file, unread=found.unread, launcher=launcher)
    return Start(unread=f"gives {launcher} no file to start")
