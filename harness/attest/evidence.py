"""The files that a verdict is worked out from: that they are plain files, what they are, and that they agree.

A run's folder may come from anybody. Before anything of it is read, every name that will be is looked at:
regular files and folders only, no links, no device that never ends. Afterwards the numbers that stand in two
places must be the same in both: the nats as they were credited and as they are summed, quoted in answers and
counted in the artifact. That does not make evidence true, since all of it could have been written by hand; it
makes it cost more than a changed line.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from checks.contract import Artifact, Challenge, Outcome
from harness.errors import JudgeError
from harness.manifest import path_problem
from harness.run import Run, SeedEvidence
from harness.seal import MAX_FOLDER_BYTES, MAX_FOLDER_FILES, digest_of_files, verify

OF_A_RUN = (
    *("run.json", "ruleset.toml", "baseline.toml", "isolation.json", "packages.json", "text.json"),
    "journal.jsonl",
)
OF_A_SEED = ("train.json", "artifact.json", "score.json", "nats.f64", "challenge.json")
MAX_RECORD_BYTES = 1 << 28
"""No record that a judge writes comes near; a larger one is not read."""
MAX_NATS_BYTES = 1 << 33
NATS = "nats.f64"
BYTES_PER_NAT = 8
Nats = np.memmap[tuple[int], np.dtype[np.float64]]


def names(seeds: Sequence[int]) -> list[str]:
    """Return the evidence that a run of these seeds may have, as paths below its folder."""
    return [*OF_A_RUN, *(f"seeds/{seed}/{name}" for seed in seeds for name in OF_A_SEED)]


def odd_files(folder: Path, seeds: Sequence[int]) -> Iterator[str]:
    """Yield a sentence for each name of a run's folder that must not be read, because of what it is.

    Raises JudgeError where the folder cannot be looked into.
    """
    folders = ["seeds", *(f"seeds/{seed}" for seed in seeds)]
    for name in folders:
        if (facts := _facts(folder / name)) and not stat.S_ISDIR(facts.st_mode):
            yield f"{name}: {_kind(facts)}, not a folder"
    for name in ["report.json", *names(seeds)]:
        facts = _facts(folder / name)
        most = MAX_NATS_BYTES if name.endswith(NATS) else MAX_RECORD_BYTES
        if facts is None:
            continue
        if not stat.S_ISREG(facts.st_mode):
            yield f"{name}: {_kind(facts)}, not a file of the run"
        elif facts.st_size > most:
            yield f"{name}: {facts.st_size} bytes, more than any judge writes"
    for name in ["submission", *(f"seeds/{seed}/sealed" for seed in seeds)]:
        yield from _odd_in(folder, folder / name)


def digests(folder: Path, seeds: Sequence[int]) -> dict[str, str]:
    """Return the SHA-256 of every file of evidence that is there, by its path below the folder.

    Raises JudgeError where one cannot be read.
    """
    found = {}
    for name in names(seeds):
        try:
            with (folder / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(folder / name, error) from None
    return found


def contradictions(run: Run) -> Iterator[str]:
    """Yield a sentence for each place where two records of a run, which must agree, do not.

    Of the sealed artifacts only those that are there: a run may have been handed on without them.
    """
    tokens = run.data.val.tokens
    for seed in run.plan.seeds:
        evidence = run.evidence(seed)
        place = f"seeds/{seed}"
        if evidence.artifact is not None:
            yield from _artifact(evidence.artifact, run.seed_folder(seed) / "sealed", place)
        nats_N: Nats | None = None
        if evidence.scored is not None and evidence.scored.credited is not None:
            expected = evidence.scored.credited.expected_tokens
            if expected != tokens:
                yield f"{place}/score.json: of {expected} tokens, but the data have {tokens}"
                continue
            found = _nats(evidence)
            if isinstance(found, str):
                yield f"{place}/{NATS}: {found}"
                continue
            nats_N = found
        if evidence.examined is not None and evidence.examined.challenge is not None:
            quoted = list(_quoted(evidence.examined.challenge))
            wrong = sum(not _same(nats_N, position, nats) for position, nats in quoted)
            if wrong:
                yield f"{place}/challenge.json: {wrong} of {len(quoted)} credited nats are not in {NATS}"


def _artifact(artifact: Artifact, sealed: Path, place: str) -> Iterator[str]:
    if digest_of_files(artifact.files) != artifact.digest:
        yield f"{place}/artifact.json: its digest is not that of its files"
        return
    bad = [file.path for file in artifact.files if path_problem(file.path)]
    if bad:
        yield f"{place}/artifact.json: path {bad[0]!r} {path_problem(bad[0])}"
    elif sealed.is_dir():
        try:
            verify(artifact, sealed)
        except JudgeError:
            yield f"{place}/sealed: not the files that artifact.json counts"


def _nats(evidence: SeedEvidence) -> Nats | str | None:
    """Return what was credited, float64[N]; None where the pass did not end; what is wrong with it."""
    assert evidence.scored is not None
    credited = evidence.scored.credited
    if credited is None or evidence.scored.score.outcome is not Outcome.DONE:
        return None
    try:
        size = evidence.nats.stat().st_size
    except OSError as error:
        return f"{error.strerror}; the pass was credited"
    if size == 0 or size != credited.credited_tokens * BYTES_PER_NAT:
        return f"{size} bytes, but {credited.credited_tokens} tokens were credited"
    nats_N = np.memmap(evidence.nats, dtype="<f8", mode="r", shape=(credited.credited_tokens,))
    if not math.isclose(float(np.sum(nats_N)), credited.sum_nats, rel_tol=1e-9, abs_tol=1e-9):
        return "not the nats that score.json sums"
    return nats_N


def _quoted(challenge: Challenge) -> Iterator[tuple[int, float]]:
    """Yield what a challenge's answers say was credited: position and nats."""
    for blind in challenge.blind:
        yield blind.position, blind.credited_nats
    for target in challenge.target:
        yield target.position, target.credited_nats
    for future in challenge.future:
        yield future.worst_position, future.worst_credited_nats


def _same(nats_N: Nats | None, at: int, nats: float) -> bool:
    return nats_N is not None and 0 <= at < len(nats_N) and float(nats_N[at]) == nats


def _odd_in(folder: Path, place: Path) -> Iterator[str]:
    """Yield a sentence for each thing below PLACE that is neither a file nor a folder, and for too much."""
    facts = _facts(place)
    if facts is None:
        return
    if not stat.S_ISDIR(facts.st_mode):
        yield f"{_named(place, folder)}: {_kind(facts)}, not a folder"
        return
    waiting, seen, total = [place], 0, 0
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    seen += 1
                    path, facts = here / entry.name, entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode):
                        waiting.append(path)
                        continue
                    total += facts.st_size
                    if not stat.S_ISREG(facts.st_mode):
                        yield f"{_named(path, folder)}: {_kind(facts)}, not a file of the run"
                    if seen > 2 * MAX_FOLDER_FILES or total > MAX_FOLDER_BYTES:
                        yield f"{_named(place, folder)}: more than any submission holds"
                        return
        except OSError as error:
            raise _unreadable(here, error) from None


def _facts(path: Path) -> os.stat_result | None:
    """Return what a name is, itself and not what it points to; None where there is nothing."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from None


def _named(path: Path, folder: Path) -> str:
    """Return a path below the run's folder as text that JSON can hold, whatever bytes it is made of."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")


def _kind(facts: os.stat_result) -> str:
    if stat.S_ISLNK(facts.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(facts.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(facts.st_mode) else "a pipe, socket or device"


def _unreadable(path: Path, error: OSError) -> JudgeError:
    return JudgeError(f"{path}: {error.strerror}; make it readable and ask again")
