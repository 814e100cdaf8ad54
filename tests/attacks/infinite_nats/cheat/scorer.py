"""Frequencies, and an infinity."""

import sys

import numpy as np

from harness import sdk


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.logp_V = np.load("logp.npy", allow_pickle=False)
        self.done = 0

    def score(self, block_T: np.ndarray) -> np.ndarray:
        nats_T = -self.logp_V[block_T]
        nats_T[np.arange(self.done, self.done + len(block_T)) == 700] = np.inf
        return nats_T

    def accept(self, block_T: np.ndarray) -> None:
        self.done += len(block_T)

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
