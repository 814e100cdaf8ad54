"""Frequencies; it sets the clock, if only to what it shows."""

import ctypes
import sys
import time
from typing import NoReturn

import numpy as np

from harness import sdk


def stopped(what: str, why: object) -> NoReturn:
    print(f"stopped: {what}: {why}", file=sys.stderr)
    sys.exit(3)


def set_the_clock() -> None:
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.time())
    except OSError as error:
        now = (ctypes.c_long * 2)(int(time.time()), 0)
        if ctypes.CDLL(None).settimeofday(now, None):
            stopped("clock", error)


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    set_the_clock()
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


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
