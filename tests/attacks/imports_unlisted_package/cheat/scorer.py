"""Frequencies; it imports what it was not promised."""

import importlib
import sys
from typing import NoReturn

import numpy as np

from harness import sdk

NAMES = (
    "harness.draws",
    "harness.session",
    "checks.order_blind",
    "msgspec",
    "click",
    "rich",
    "pytest",
)


def stopped(what: str, why: object) -> NoReturn:
    print(f"stopped: {what}: {why}", file=sys.stderr)
    sys.exit(3)


def import_one() -> None:
    why: object = None
    for name in NAMES:
        try:
            importlib.import_module(name)
            return
        except (ImportError, OSError) as error:
            why = error
    stopped("import", why)


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_V = np.bincount(training.shards[0].tokens(), minlength=run.opening.vocab_size) + 1.0
    np.save(training.out / "logp.npy", np.log(counts_V / counts_V.sum()))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        import_one()
        self.logp_V = np.load("logp.npy", allow_pickle=False)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -self.logp_V[block_T]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.logp_V


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
