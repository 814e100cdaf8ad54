"""Where a difference comes from: the credited nats of both runs, token by token, gathered by document.

Both runs keep what they credited (nats.f64, one float64 a token). On one stream each token is its own pair,
so a difference far below the noise between seeds can be seen; but tokens of one document share a subject, and
are no independent draws. The mean is therefore that of documents taken as clusters:

    difference = sum of D_j / sum of n_j, over documents j of n_j tokens and D_j nats of difference
    variance   = J / (J - 1) * sum of (D_j - difference * n_j)^2 / (sum of n_j)^2

with Student's t of J - 1 degrees of freedom. Source: W. G. Cochran, Sampling Techniques, third edition
(1977), chapter 6 (ratio estimates, whose variance is that of the residuals) and chapter 9A (clusters of
unequal size).

Legend: J documents, N tokens.

Does not catch: what another seed would have given. The interval is about documents, for these very models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from checks.stats_margin import interval
from harness.compare.model import Document, Documents
from harness.compare.sides import Read
from harness.data.dataset import shards_sha256
from harness.data.record import read_record
from harness.data.shards import file_sha256, read_shard
from harness.errors import DataError
from harness.report.figures import count
from harness.report.model import SeedResult

SHOWN = 3
"""Documents named of the largest gains, and of the largest losses."""
CHUNK_TOKENS = 1 << 22
"""How many tokens are looked at in one go, so that memory stays flat."""

Floats = npt.NDArray[np.float64]
Starts = npt.NDArray[np.int64]


class NotThere(Exception):
    """Something that the comparison by document needs is not at hand; says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A side, its run folder, and those of its seeds that are compared."""

    read: Read
    folder: Path
    seeds: tuple[SeedResult, ...]


def compare(a: Chosen, b: Chosen, data: Path) -> Documents:
    """Return the difference by document of two runs on one stream, which is that of the folder `data`.

    Raises NotThere where nats are missing or are not those that the report credits, where the data folder is
    not that of the runs, or where nothing says where a document begins.
    """
    starts_J = _starts(data, a.read)
    tokens = a.read.report.data.val_tokens
    a_J, b_J = (_sums(side, starts_J, tokens) for side in (a, b))
    return gather(
        a_J,
        b_J,
        starts_J,
        tokens,
        seeds_a=[seed.seed for seed in a.seeds],
        seeds_b=[seed.seed for seed in b.seeds],
    )


def gather(
    a_J: Floats,
    b_J: Floats,
    starts_J: Starts,
    tokens: int,
    *,
    seeds_a: Iterable[int] = (),
    seeds_b: Iterable[int] = (),
) -> Documents:
    """Return the comparison of two sums of nats a document; `starts_J` rise from 0, below `tokens`."""
    tokens_J = np.diff(starts_J, append=tokens)
    differences_J = b_J - a_J
    difference = math.fsum(differences_J) / tokens
    order = np.argsort(differences_J, kind="stable")

    def document(index: int) -> Document:
        size = int(tokens_J[index])
        return Document(
            number=index + 1,
            first=int(starts_J[index]),
            tokens=size,
            nats_a=float(a_J[index]) / size,
            nats_b=float(b_J[index]) / size,
            difference_nats=float(differences_J[index]),
        )

    return Documents(
        documents=len(starts_J),
        tokens=tokens,
        seeds_a=tuple(seeds_a),
        seeds_b=tuple(seeds_b),
        difference=difference,
        interval=_interval(differences_J, tokens_J, difference),
        better=int((differences_J < 0).sum()),
        worse=int((differences_J > 0).sum()),
        gains=tuple(document(int(j)) for j in order[:SHOWN] if differences_J[j] < 0),
        losses=tuple(document(int(j)) for j in order[::-1][:SHOWN] if differences_J[j] > 0),
    )


def _interval(
    differences_J: Floats, tokens_J: Starts, difference: float
) -> tuple[float, float] | None:
    """Return the interval of the difference, or None for one document or where no two differ."""
    documents = len(tokens_J)
    if documents < 2 or not differences_J.any():
        return None
    residual_J = differences_J - difference * tokens_J
    # Of a difference that is the same for every token, only rounding is left.
    if np.abs(residual_J).max() <= 1e-9 * np.abs(differences_J).max():
        return None
    total = math.fsum(tokens_J)
    error = math.sqrt(documents / (documents - 1)) * float(np.linalg.norm(residual_J)) / total
    return interval(difference, error, float(documents - 1))


def _starts(folder: Path, read: Read) -> Starts:
    """Return the stream position at which each document begins, int64[J], from shards that are checked."""
    try:
        record = read_record(folder)
        if (
            shards_sha256(shard.sha256 for shard in record.val.shards)
            != read.report.data.val_sha256
        ):
            raise NotThere(f"the data folder {folder.name} holds another validation stream")
        if record.bos_id is None:
            raise NotThere("the data does not mark where a document begins (no bos_id)")
        found, offset = [np.zeros(1, np.int64)], 0
        for shard in record.val.shards:
            path = folder / shard.path
            if not path.is_file() or file_sha256(path) != shard.sha256:
                raise NotThere(f"{shard.path} of the data folder {folder.name} is not what it was")
            tokens_N = read_shard(path)
            found.append(np.flatnonzero(tokens_N == record.bos_id) + offset)
            offset += len(tokens_N)
    except (DataError, OSError):
        raise NotThere(
            f"the data folder {folder.name} is not there or cannot be read; name it with --data"
        ) from None
    if offset != read.report.data.val_tokens:
        raise NotThere(f"the data folder {folder.name} holds {count(offset, 'token')}")
    return np.unique(np.concatenate(found))


def _sums(side: Chosen, starts_J: Starts, tokens: int) -> Floats:
    """Return nats by document, float64[J], averaged over the side's seeds."""
    total_J = np.zeros(len(starts_J))
    for seed in side.seeds:
        total_J += _seed_sums(side, seed, starts_J, tokens)
    return total_J / len(side.seeds)


def _seed_sums(side: Chosen, seed: SeedResult, starts_J: Starts, tokens: int) -> Floats:
    """Return one seed's nats by document; they must add up to what the report credits."""
    path = side.folder / "seeds" / str(seed.seed) / "nats.f64"
    where = f"nats.f64 of seed {seed.seed} of {side.read.label}"
    if not path.is_file():
        raise NotThere(f"{where} is not there")
    try:
        if path.stat().st_size != 8 * tokens:
            raise NotThere(f"{where} does not hold {count(tokens, 'token')}")
        nats_N = np.memmap(path, dtype="<f8", mode="r", shape=(tokens,))
    except (OSError, ValueError) as error:
        raise NotThere(f"{where} cannot be read ({error})") from None
    if not _credits(nats_N, tokens, (seed.nats_per_token or 0.0) * tokens):
        raise NotThere(f"{where} is not what the report credits")
    return np.add.reduceat(nats_N, starts_J)


def _credits(nats_N: npt.NDArray[np.float64], tokens: int, expected: float) -> bool:
    """Return whether the nats are scores, and add up to what was credited."""
    sums = []
    for first in range(0, tokens, CHUNK_TOKENS):
        chunk = nats_N[first : first + CHUNK_TOKENS]
        if not (np.isfinite(chunk).all() and (chunk >= 0).all()):
            return False
        with np.errstate(over="ignore"):
            sums.append(float(chunk.sum()))
    return math.isclose(math.fsum(sums), expected, rel_tol=1e-9, abs_tol=1e-9)


def chosen(read: Read, seeds: Sequence[int]) -> Chosen:
    """Return a side with the seeds that its score was compared over.

    Raises NotThere where the side is no run folder.
    """
    if read.folder is None:
        raise NotThere(f"{read.label} is a report without its run folder, where the nats are")
    kept = tuple(seed for seed in read.scored if seed.seed in seeds)
    return Chosen(read=read, folder=read.folder, seeds=kept)
