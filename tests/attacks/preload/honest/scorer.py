"""Frequencies; a library from the artifact is loaded with it."""

import shutil
import sys
from pathlib import Path

import numpy as np

from harness import sdk


def small_library() -> Path:
    return min(Path(np.__file__).parent.rglob("*.so"), key=lambda file: file.stat().st_size)


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    shutil.copy(small_library(), training.out / "planted.so")
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        if "planted.so" not in Path("/proc/self/maps").read_text():
            raise RuntimeError("the linker has not loaded it")
        self.logp_V = np.load("logp.npy", allow_pickle=False)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
