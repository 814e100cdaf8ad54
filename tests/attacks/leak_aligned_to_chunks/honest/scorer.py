"""A bigram with a bag of words, of the chunk so far."""

import sys

import numpy as np

from harness import sdk

CHUNK = 16  # tokens that share a bag of words


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
        bags_TV = self.bags(block_T)
        sizes_T = bags_TV.sum(axis=1)
        some_T = sizes_T > 0
        rows_TV[some_T] = 0.5 * rows_TV[some_T] + 0.5 * bags_TV[some_T] / sizes_T[some_T, None]
        return rows_TV

    def bags(self, block_T: np.ndarray) -> np.ndarray:
        """Return how often each token occurs in the chunk of each position, before it."""
        one_hot_TV = np.zeros((-(-len(block_T) // CHUNK) * CHUNK, len(self.counts_VV)))
        one_hot_TV[np.arange(len(block_T)), block_T] = 1.0
        chunks_CTV = one_hot_TV.reshape(-1, CHUNK, len(self.counts_VV))
        bags_CTV = np.cumsum(chunks_CTV, axis=1) - chunks_CTV
        return bags_CTV.reshape(one_hot_TV.shape)[: len(block_T)]

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
