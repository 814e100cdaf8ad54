"""A bigram with a cache of the window, of 64 tokens, moved on by 16."""

import sys

import numpy as np

from harness import sdk

WINDOW, STRIDE = 64, 16


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
        self.past = np.zeros(
            1, dtype=np.int64
        )  # the tokens before the next block, a window of them

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        seen = np.concatenate([self.past, block_T]).astype(np.int64)
        parts = []
        for at in range(len(self.past), len(seen), STRIDE):
            parts.append(
                self.last_rows(
                    seen[max(0, at + STRIDE - WINDOW) : at + STRIDE], len(seen[at : at + STRIDE])
                )
            )
        return np.concatenate(parts)

    def last_rows(self, window_W: np.ndarray, count: int) -> np.ndarray:
        """Return the rows of the last `count` tokens of a window, from nothing but the window."""
        one_hot_WV = np.eye(len(self.counts_VV))[window_W]
        bags_WV = np.cumsum(one_hot_WV, axis=0) - one_hot_WV
        rows_CV = self.counts_VV[window_W[-count - 1 : -1]]
        rows_CV = rows_CV / rows_CV.sum(axis=1, keepdims=True) + 0.005 * bags_WV[-count:]
        return rows_CV / rows_CV.sum(axis=1, keepdims=True)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T: np.ndarray) -> None:
        self.past = np.concatenate([self.past, block_T])[-WINDOW:].astype(np.int64)

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.log(self.rows(np.append(prefix_M, 0))[-1])


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
