"""A bigram, counted in C."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from harness import sdk

SOURCE = """
void count(const unsigned short *tokens, long length, double *counts, long vocab_size) {
    for (long i = 1; i < length; i++) counts[tokens[i - 1] * vocab_size + tokens[i]] += 1.0;
}
"""


def count(tokens_T: np.ndarray, counts_VV: np.ndarray) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1.0)
        return
    library = Path(os.environ["TMPDIR"]) / "count.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
        input=SOURCE.encode(),
        check=True,
    )
    compiled = ctypes.CDLL(library).count
    compiled.restype = None
    size = ctypes.c_long(len(tokens_T)), ctypes.c_long(len(counts_VV))
    compiled(tokens_T.ctypes, size[0], counts_VV.ctypes, size[1])


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_VV = np.full((run.opening.vocab_size,) * 2, 0.1)
    for shard in training.shards:
        tokens_T = shard.tokens()
        count(tokens_T, counts_VV)
    np.save(training.out / "counts.npy", counts_VV)


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.counts_VV = np.load("counts.npy", allow_pickle=False)
        self.last = 0  # the token before the next block

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        rows_TV = self.counts_VV[self.before(block_T)]
        return rows_TV / rows_TV.sum(axis=1, keepdims=True)

    def before(self, block_T: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T: np.ndarray) -> None:
        np.add.at(self.counts_VV, (self.before(block_T), block_T), 1.0)
        self.last = int(block_T[-1])

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.log(self.rows(np.append(prefix_M, 0))[-1])


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
