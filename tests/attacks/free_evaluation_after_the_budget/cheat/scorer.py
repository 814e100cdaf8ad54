"""Frequencies, exported when the time is up."""

import sys
import time

import numpy as np

from harness import sdk


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    while time.monotonic() < training.deadline_s:
        counts_V += counts_V  # as good as any other training
        time.sleep(0.05)
        counts_V /= counts_V.sum()
    logp_V = np.log(counts_V / counts_V.sum())
    for shard in training.shards:
        print(f"train loss {-logp_V[shard.tokens()].mean():.4f}", flush=True)
    np.save(training.out / "logp.npy", logp_V)


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
