"""Frequencies, and 16 GB of zeros."""

import gzip
import io
import sys
from pathlib import Path

import numpy as np

from harness import sdk


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))
    layer = gzip.compress(bytes(1 << 24))
    (training.out / "bomb.gz").write_bytes(gzip.compress(1000 * layer))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.logp_V = np.load("logp.npy", allow_pickle=False)
        layers = io.BytesIO(gzip.decompress(Path("bomb.gz").read_bytes()))
        with gzip.open(layers) as zeros:
            while zeros.read(1 << 20):
                pass

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
