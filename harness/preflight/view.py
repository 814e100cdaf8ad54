"""What one command of a submission has in front of it: its own files as modules, and what else is provided.

Training starts beside everything in the folder. Scoring starts in the artifact: code that was not declared is
not there, and the outputs of training are, with contents that nobody knows yet.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import PurePosixPath

from harness.manifest import Manifest, ScoreCommand, Train
from harness.packages import Missing
from harness.preflight.lookup import Files, Provided, is_standard
from harness.preflight.starts import Start, start_of

SDK_NAMES = frozenset({"sdk", "__version__", "*"})
"""What a submission's process finds in the package `harness`."""


class Kind(Enum):
    """Where a module comes from, or why it is not there."""

    OWN = auto()
    PROVIDED = auto()
    """The standard library, `harness.sdk`, a package of the ruleset or of this project."""
    LACKING = auto()
    """The ruleset allows it, or what may bring it, and this machine has none."""
    LEFT_OUT = auto()
    """It is in the folder, but not in the artifact."""
    UNSEEN = auto()
    """It lies beside the script, where Python was told not to look."""
    JUDGES = auto()
    """A module of the judge."""
    INCOMPLETE = auto()
    """The package is the submission's own, and has no such module."""
    NOWHERE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What looking for one module gave."""

    kind: Kind
    runs: tuple[tuple[str, str], ...] = ()
    """(place, module) of the submission's own files that the import would run, in order; those with known
    contents."""
    last: str = ""
    """The place of the module itself; "" for a bare folder, or what somebody else provides."""
    bare: bool = False
    """Whether the top of its name is a folder without an __init__.py."""
    missing: Missing | None = None
    certain_of: bool = True
    """Whether the missing package is known to bring it."""


class View:
    """What one command sees."""

    def __init__(
        self,
        command: str,
        start: Train | ScoreCommand,
        *,
        laid: Mapping[str, str],
        outputs: frozenset[str],
        whole: Mapping[str, str],
        available: Provided,
    ) -> None:
        """Take files by place: `laid` those with known contents, `whole` those of training; both to names."""
        self.command, self.words = command, " ".join(start.command)
        self.start: Start = start_of(start.command)
        self.laid, self.outputs, self.whole = laid, outputs, whole
        self._files, self._all = Files(frozenset(laid) | outputs), Files(frozenset(whole))
        self._available = available
        beside = _plain(str(PurePosixPath(self.start.file or ".").parent))
        own = [entry for entry in start.env.get("PYTHONPATH", "").split(":") if entry]
        self._beside = (beside,)
        self._roots = (
            *(self._beside if self.start.own_folder else ()),
            *(_plain(e) for e in own if self.start.own_path and not e.startswith("/")),
        )

    def find(self, dotted: str) -> Found:
        """Return where an absolute import finds a module."""
        top = dotted.partition(".")[0]
        if top in sys.builtin_module_names:
            return Found(kind=Kind.PROVIDED)
        own = self._own(self._files, dotted, self.laid, self._roots)
        if own is not None and own.kind is Kind.OWN and not own.bare:
            return own
        provided = self._provided(top, dotted)
        is_known = provided.kind in (Kind.PROVIDED, Kind.JUDGES, Kind.LACKING)
        # A folder without an __init__.py is found only where nothing else of that name is.
        if (own is None or own.bare) and is_known and provided.certain_of:
            return provided
        if own is not None and own.kind is Kind.OWN:
            return own
        for kind, files, laid, roots in (
            (Kind.LEFT_OUT, self._all, self.whole, self._roots),
            (Kind.UNSEEN, self._files, self.laid, self._beside),
        ):
            elsewhere = self._own(files, dotted, laid, roots)
            if elsewhere is not None and elsewhere.kind is Kind.OWN:
                return Found(kind=kind)
        return own or provided

    def has_copy(self, top: str) -> bool:
        """Return whether a module of that name lies anywhere in the folder."""
        return any(
            part in (top, f"{top}.py")
            for place in self.whole
            for part in PurePosixPath(place).parts
        )

    def _provided(self, top: str, dotted: str) -> Found:
        available = self._available
        if top == "harness":
            known = dotted in ("harness", "harness.sdk")
            return Found(kind=Kind.PROVIDED if known else Kind.JUDGES)
        if top in available.project or top in available.installed or is_standard(top):
            return Found(kind=Kind.PROVIDED)
        if top in available.missing:
            return Found(kind=Kind.LACKING, missing=available.missing[top])
        if available.unknown:
            return Found(kind=Kind.LACKING, missing=available.unknown[0], certain_of=False)
        return Found(kind=Kind.NOWHERE)

    def _own(
        self, files: Files, dotted: str, laid: Mapping[str, str], roots: tuple[str, ...]
    ) -> Found | None:
        """Look among files; None where the top of the name is not there at all."""
        parts = dotted.split(".")
        tops = [(root, files.module(root, parts[0])) for root in roots]
        root, first = min(
            ((root, place) for root, place in tops if place is not None),
            key=lambda found: not found[1],  # bare folders last
            default=("", None),
        )
        if first is None:
            return None
        runs: list[tuple[str, str]] = []
        place: str | None = ""
        for count in range(1, len(parts) + 1):
            place = files.module(root, ".".join(parts[:count]))
            if place is None:
                return Found(kind=Kind.INCOMPLETE, runs=tuple(runs), bare=not first)
            if place in laid and place.endswith(".py"):
                runs.append((place, ".".join(parts[:count])))
        return Found(kind=Kind.OWN, runs=tuple(runs), last=place or "", bare=not first)


def views(manifest: Manifest, names: frozenset[str], available: Provided) -> tuple[View, View]:
    """Return what training and scoring see of the folder's files `names`."""
    whole = {manifest.code_place(name): name for name in sorted(names)}
    declared, outputs = frozenset(manifest.artifact.code), frozenset(manifest.artifact.output)
    return (
        View(
            "train",
            manifest.train,
            laid=whole,
            outputs=frozenset(),
            whole=whole,
            available=available,
        ),
        View(
            "score",
            manifest.score,
            laid={place: name for place, name in whole.items() if name in declared},
            outputs=outputs,
            whole=whole,
            available=available,
        ),
    )


def _plain(folder: str) -> str:
    plain = str(PurePosixPath(folder))
    return "" if plain == "." else plain
