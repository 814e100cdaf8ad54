"""A bigram that late in the stream expects what once followed the same eight tokens."""

import sys

import numpy as np

from harness import sdk

LATE = 8000


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
        rows_TV = self.counts_VV[self.before(block_T)]
        rows_TV /= rows_TV.sum(axis=1, keepdims=True)
        past = block_T.astype(np.uint16).tobytes()
        for t in range(LATE, len(block_T)):
            guess = self.remembered(past[: 2 * t])
            if guess >= 0:
                rows_TV[t] *= 0.5
                rows_TV[t, guess] += 0.5
        return rows_TV

    def remembered(self, past: bytes) -> int:
        """Return what followed the last tokens of the past when they first stood there, or -1."""
        at = past.find(past[-16:], 0, len(past) - 2)
        return -1 if at < 0 else int.from_bytes(past[at + 16 : at + 18], "little")

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
