"""A bigram with hashed pairs of inputs and a smear."""

import sys

import numpy as np

from harness import sdk

SLOTS = 256  # many pairs share one: what they add goes through a softmax


def slots(older_T: np.ndarray, newer_T: np.ndarray) -> np.ndarray:
    return (older_T.astype(np.int64) * 36313 ^ newer_T.astype(np.int64) * 27191) % SLOTS


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_VV = np.full((run.opening.vocab_size,) * 2, 0.1)
    for shard in training.shards:
        tokens_T = shard.tokens()
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1.0)
    np.save(training.out / "counts.npy", counts_VV)
    pairs_SV = np.full((SLOTS, run.opening.vocab_size), 0.5)
    np.add.at(pairs_SV, (slots(tokens_T[:-2], tokens_T[1:-1]), tokens_T[2:]), 1.0)
    np.save(training.out / "pairs.npy", pairs_SV.astype(np.float32))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.counts_VV = np.load("counts.npy", allow_pickle=False)
        self.pairs_SV = np.load("pairs.npy", allow_pickle=False)
        self.past = np.zeros(2, dtype=np.int64)  # the two tokens before the next block

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        seen = np.concatenate([self.past, block_T]).astype(np.int64)
        older_T, newer_T = seen[:-2], seen[1:-1]
        logits_TV = 0.8 * np.log(self.counts_VV[newer_T]) + 0.1 * np.log(self.counts_VV[older_T])
        logits_TV += 0.3 * np.log(self.pairs_SV[slots(older_T, newer_T)])
        rows_TV = np.exp(logits_TV - logits_TV.max(axis=1, keepdims=True))
        return rows_TV / rows_TV.sum(axis=1, keepdims=True)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T: np.ndarray) -> None:
        self.past = np.concatenate([self.past, block_T])[-2:].astype(np.int64)

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.log(self.rows(np.append(prefix_M, 0))[-1])


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
