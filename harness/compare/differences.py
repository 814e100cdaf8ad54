"""What differs between two reports beside the scores: sizes, times, findings, guarantees, machines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from checks import ORDER
from harness.compare.model import Change, Figure
from harness.report.figures import figure
from harness.report.model import Machine, Report
from harness.report.reading import largest_artifact, phase_names


def figures(a: Report, b: Report) -> tuple[Figure, ...]:
    """Return the bytes of the largest artifact, then the mean seconds of each phase over its seeds."""
    largest = (largest_artifact(report) for report in (a, b))
    sizes = [None if seed is None else seed.artifact_bytes for seed in largest]
    phases = dict.fromkeys((*phase_names(a), *phase_names(b)))
    return (
        Figure(name="artifact", unit="bytes", a=sizes[0], b=sizes[1]),
        *(
            Figure(name=phase, unit="s", a=_mean_s(a, phase), b=_mean_s(b, phase))
            for phase in phases
        ),
    )


def _mean_s(report: Report, phase: str) -> float | None:
    took = [
        time.wall_s
        for seed in report.seeds
        for time in seed.phases
        if time.phase == phase and time.outcome != "not started"
    ]
    # Each is divided first: a sum of large numbers could overflow.
    return math.fsum(s / len(took) for s in took) if took else None


def findings(a: Report, b: Report) -> tuple[Change, ...]:
    """Return the checks whose status differs, in report order; null for one that a report lacks."""
    one, other = ({found.id: str(found.status) for found in report.findings} for report in (a, b))
    ids = [*(check for check in ORDER if check in one or check in other)]
    return tuple(_changes(one, other, dict.fromkeys((*ids, *one, *other))))


def guarantees(a: Report, b: Report) -> tuple[Change, ...]:
    """Return the guarantees that were held differently."""
    one, other = ({line.name: line.state for line in report.guarantees} for report in (a, b))
    return tuple(_changes(one, other, dict.fromkeys((*one, *other))))


def machine(a: Report, b: Report) -> tuple[Change, ...]:
    """Return what differs between the machines, packages by name and version last."""
    one, other = _facts(a.machine), _facts(b.machine)
    return tuple(_changes(one, other, dict.fromkeys((*one, *other))))


def _facts(machine: Machine) -> dict[str, str]:
    facts = {
        "system": machine.system,
        "processor": machine.cpu,
        "cores": figure(machine.cores),
        "memory": None if machine.memory_gb is None else f"{figure(machine.memory_gb)} GB",
        "GPUs": ", ".join(machine.gpus) or "none",
        "Python": machine.python,
        **{f"package {name}": version for name, version in sorted(machine.packages.items())},
    }
    return {name: value for name, value in facts.items() if value is not None}


def _changes(
    one: Mapping[str, str], other: Mapping[str, str], names: Mapping[str, object]
) -> Iterator[Change]:
    for name in names:
        if one.get(name) != other.get(name):
            yield Change(name=name, a=one.get(name), b=other.get(name))
