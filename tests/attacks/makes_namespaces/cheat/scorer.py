"""Frequencies; it mounts something where only it will see it."""

import ctypes
import os
import sys
from typing import NoReturn

import numpy as np

from harness import sdk

NEW_USER, NEW_MOUNTS, RECURSIVELY_PRIVATE = 0x10000000, 0x00020000, 0x44000


def stopped(what: str, why: object) -> NoReturn:
    print(f"stopped: {what}: {why}", file=sys.stderr)
    sys.exit(3)


def mount(flags: int) -> int:
    """Return 0 if a child that has left for namespaces of its own can mount there, else the error."""
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        failed = (
            libc.unshare(flags)
            or libc.mount(None, b"/", None, RECURSIVELY_PRIVATE, None)
            or libc.mount(b"none", b"/usr", b"tmpfs", 0, b"size=64k")
        )
        os._exit(ctypes.get_errno() if failed else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def mount_something() -> None:
    errors = [mount(flags) for flags in (NEW_MOUNTS, NEW_USER | NEW_MOUNTS)]
    if all(errors):
        stopped("namespaces", os.strerror(errors[-1]))


def train() -> None:
    run = sdk.connect()
    mount_something()
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


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
