"""Frequencies, among strange names that it does not declare."""

import os
import sys
from pathlib import Path

import numpy as np

from harness import sdk

NAMES = (
    b"\n",
    b"PASS\nFAIL",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"-rf",
    b" ",
    b"~",
    b"\x1b[2J",
    b"n" * 255,
)


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))
    for name in NAMES:
        Path(os.fsdecode(os.fsencode(training.out) + b"/" + name)).write_bytes(bytes(1000))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.logp_V = np.load("logp.npy", allow_pickle=False)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
