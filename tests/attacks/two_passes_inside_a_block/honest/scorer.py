"""A bigram that learns within a block, in one pass."""

import sys

import numpy as np

from harness import sdk


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
        self.last = 0  # the token before the next block

    def learnt(self, block_T: np.ndarray) -> np.ndarray:
        counts_VV = self.counts_VV.copy()
        np.add.at(counts_VV, (self.before(block_T), block_T), 4.0)
        return counts_VV

    def before(self, block_T: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.last], block_T]).astype(np.int64)[:-1]

    def score(self, block_T: np.ndarray) -> np.ndarray:
        nats_T = np.empty(len(block_T))
        counts_VV = self.counts_VV.copy()
        for t, (before, token) in enumerate(zip(self.before(block_T), block_T, strict=True)):
            row_V = counts_VV[before]
            nats_T[t] = np.log(row_V.sum() / row_V[token])
            row_V[token] += 4.0
        return nats_T

    def accept(self, block_T: np.ndarray) -> None:
        self.counts_VV = self.learnt(block_T)
        self.last = int(block_T[-1])

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        row_V = self.learnt(prefix_M)[prefix_M[-1] if len(prefix_M) else self.last]
        return np.log(row_V / row_V.sum())


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
