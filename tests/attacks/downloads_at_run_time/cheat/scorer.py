"""Frequencies, if the network is there."""

import socket
import sys

import numpy as np

from harness import sdk


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
                outside.connect(("192.0.2.1", 443))  # sends nothing; asks for a way there
        except OSError as error:
            print(f"stopped: the network: {error.strerror}", file=sys.stderr)
            sys.exit(3)
        self.logp_V = np.load("logp.npy", allow_pickle=False)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
