"""Frequencies; it stops a child of its own, for a moment."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from harness import sdk


def stop(pid: int) -> bool:
    """Stop a process and let it go on at once; return whether it did stop."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.1)
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    os.kill(pid, signal.SIGCONT)
    return state == "T"


def stop_a_child() -> None:
    child = os.fork()
    if child == 0:
        time.sleep(60)
    stop(child)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    stop_a_child()
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
