"""A bigram mixed with a byte model, by how sure that is of whatever comes."""

import sys

import numpy as np

from harness import sdk

LETTERS = "abcdefghijklmnopqrstuvwxyzäö"
PIECES = ["", *".,;:!?\n", *(f" {letter}" for letter in LETTERS), *LETTERS]
BYTES = [piece.encode() or b"\0" for piece in PIECES]
KNOWN = sorted(set(b"".join(BYTES)))
CODES = [[KNOWN.index(byte) for byte in piece] for piece in BYTES]
LAST_V = np.array([codes[-1] for codes in CODES])
LENGTH_V = np.array([len(codes) for codes in CODES])


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_VV = np.full((run.opening.vocab_size,) * 2, 0.1)
    for shard in training.shards:
        tokens_T = shard.tokens()
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1.0)
    np.save(training.out / "counts.npy", counts_VV)
    text = np.concatenate([CODES[token] for token in tokens_T])
    bytes_BB = np.full((len(KNOWN),) * 2, 0.5)
    np.add.at(bytes_BB, (text[:-1], text[1:]), 1.0)
    np.save(training.out / "bytes.npy", bytes_BB / bytes_BB.sum(axis=1, keepdims=True))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.counts_VV = np.load("counts.npy", allow_pickle=False)
        self.bytes_BB = np.load("bytes.npy", allow_pickle=False)
        self.last = 0  # the token before the next block

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        rows_TV = self.counts_VV[self.before(block_T)]
        rows_TV /= rows_TV.sum(axis=1, keepdims=True)
        spelt_TV = self.bytewise(block_T).prod(axis=2)
        spelt_TV /= spelt_TV.sum(axis=1, keepdims=True)
        weight_T = np.where(self.sure(block_T), 0.7, 0.1)
        return rows_TV + weight_T[:, None] * (spelt_TV - rows_TV)

    def bytewise(self, block_T: np.ndarray) -> np.ndarray:
        """Return the byte model's probability of each byte of each token, 1 where it has none."""
        bytes_TVJ = np.ones((len(block_T), len(CODES), 3))
        last_T = LAST_V[self.before(block_T)]
        for token, codes in enumerate(CODES):
            bytes_TVJ[:, token, 0] = self.bytes_BB[last_T, codes[0]]
            for j in range(1, len(codes)):
                bytes_TVJ[:, token, j] = self.bytes_BB[codes[j - 1], codes[j]]
        return bytes_TVJ

    def sure(self, block_T: np.ndarray) -> np.ndarray:
        """Return where the byte model expects some byte."""
        return self.bytes_BB[LAST_V[self.before(block_T)]].max(axis=1) > 0.1

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
