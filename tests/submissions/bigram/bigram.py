"""An online bigram: p(v | u) = (count[u, v] + 2 * p(v)) / (count[u] + 2), counted on accepted tokens."""

import sys

import numpy as np

from harness import sdk


def train() -> None:
    run = sdk.connect()
    training = run.ready()  # the train clock starts here
    vocab = run.opening.vocab_size
    counts_VV = np.zeros((vocab, vocab), dtype=np.uint32)
    for shard in () if training.fresh else training.shards:  # fresh: `harness check`, untrained
        tokens_T = shard.tokens()
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1)
    small_VV = np.minimum(counts_VV, 65535).astype(np.uint16)  # bytes are counted
    np.savez_compressed(training.out / "counts.npz", counts_VV=small_VV)


class Bigram:
    def __init__(self, opening: sdk.Opening) -> None:
        self.counts_VV = np.load("counts.npz", allow_pickle=False)["counts_VV"].astype(np.float64)
        self.total_V = self.counts_VV.sum(axis=1)
        unigram_V = self.counts_VV.sum(axis=0) + 0.1
        self.unigram_V = unigram_V / unigram_V.sum()
        self.last = 1  # the token before the next block: bos at first

    def score(self, block_T: np.ndarray) -> np.ndarray:
        before_T = np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)
        count_T = self.counts_VV[before_T, block_T] + 2.0 * self.unigram_V[block_T]
        return np.log(self.total_V[before_T] + 2.0) - np.log(count_T)

    def accept(self, block_T: np.ndarray) -> None:
        before_T = np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)
        np.add.at(self.counts_VV, (before_T, block_T), 1.0)
        np.add.at(self.total_V, before_T, 1.0)
        self.last = int(block_T[-1])

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        u = int(prefix_M[-1]) if len(prefix_M) else self.last
        return np.log(self.counts_VV[u] + 2.0 * self.unigram_V) - np.log(self.total_V[u] + 2.0)


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Bigram)
