"""What a reader of a record's scripts should look at: the notes of the `source` checks, layer by layer.

Advice, never a verdict (docs/rules/source.target.md and its neighbours): a name can lie, and only a run can
tell. The scripts are read as data, packed ones through `harness.audit.unwrap`; nothing of them is run.

Does not catch: files other than the scripts handed in, and what a script imports from beside it is a script
of its own here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from checks import (
    source_clock,
    source_dead,
    source_network,
    source_order,
    source_process,
    source_target,
    source_validation,
)
from checks.source_note import Note, Source, read
from harness.audit.unwrap import text_of, unwrap

_CHECKS: tuple[Callable[[Source], tuple[Note, ...]], ...] = (
    source_target.check,
    source_order.check,
    source_validation.check,
    source_network.check,
    source_process.check,
    source_clock.check,
)
IDS = (
    source_target.ID,
    source_order.ID,
    source_validation.ID,
    source_network.ID,
    source_process.ID,
    source_clock.ID,
    source_dead.ID,
)
"""In the order of a report."""
_C_NAMES = (".c", ".cc", ".cpp", ".cu", ".h", ".cuh")
MAX_SCRIPTS = 40
"""Scripts of one folder that are looked at; a record has one, and a few helpers."""

MAX_NODES = 2_000_000
"""Nodes of syntax trees, all layers together, after which no other script is begun."""


@dataclass(frozen=True, slots=True)
class PlacedNote:
    """A note and its place: `layer` is the file's name, with ":LINE" for each unwrapping."""

    file: str
    layer: str
    note: Note


@dataclass(frozen=True, slots=True)
class SourceNotes:
    """All notes on a folder's scripts, and in `unread` what could not be looked at, and why."""

    notes: tuple[PlacedNote, ...]
    layers: tuple[tuple[str, str], ...]
    """(layer, how it was come to) of every text that was looked at."""
    unread: tuple[str, ...]


def look(scripts: Iterable[tuple[str, bytes]]) -> SourceNotes:
    """Return the notes on (name, content) of scripts. Never raises for what a script holds."""
    notes: list[PlacedNote] = []
    layers: list[tuple[str, str]] = []
    unread: list[str] = []
    nodes = 0
    for count, (name, data) in enumerate(scripts):
        if count >= MAX_SCRIPTS or nodes > MAX_NODES:
            bound = f"{MAX_SCRIPTS} scripts" if count >= MAX_SCRIPTS else f"{MAX_NODES:,} nodes"
            unread.append(f"{name}: more than {bound}; neither this one nor those after it")
            break
        if name.endswith(_C_NAMES):
            notes += [
                PlacedNote(name, name, note) for note in source_target.check_c(text_of(data)[0])
            ]
            layers.append((name, "C, of which source.target alone is read"))
            continue
        unwrapped = unwrap(name, data)
        unread += unwrapped.notes
        for layer in unwrapped.layers:
            source = read(layer.text)
            # Why a layer cannot be read is among the notes of its unwrapping already.
            if isinstance(source, Source):
                nodes += len(source.tree.nodes)
                layers.append((layer.name, layer.how))
                notes += [PlacedNote(name, layer.name, note) for note in _look(source)]
    return SourceNotes(tuple(notes), tuple(layers), tuple(unread))


def _look(source: Source) -> list[Note]:
    found = [note for check in _CHECKS for note in check(source)]
    return [*found, *source_dead.check(found)]
