"""Frequencies, drop by drop."""

import sys
import time

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

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


class InPieces(sdk.Connection):
    """A connection that sends a few bytes at a time."""

    def _write(self, kind: sdk.Kind, array: np.ndarray | None = None) -> None:
        payload = b"" if array is None else array.tobytes()
        frame = sdk.header(kind, len(payload)) + payload
        for at in range(0, len(frame), 1):
            time.sleep(0.01)
            self._sock.sendall(frame[at : at + 1])


def score() -> None:
    connection = sdk.connect()
    connection.__class__ = InPieces
    connection.serve(Scorer(connection.opening))


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else score()
