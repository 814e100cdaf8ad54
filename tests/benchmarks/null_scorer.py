"""A scorer that does nothing but answer: what is left is the cost of the session itself."""

import numpy as np

from harness import sdk


class Null:
    def __init__(self, opening: sdk.Opening) -> None:
        self.nats_T = np.full(opening.block_tokens, 1.0)
        self.row_V = np.full(opening.vocab_size, -np.log(opening.vocab_size), dtype=np.float32)

    def score(self, block_T: np.ndarray) -> np.ndarray:
        return self.nats_T[: len(block_T)]

    def accept(self, block_T: np.ndarray) -> None:
        pass

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        return self.row_V


if __name__ == "__main__":
    sdk.serve(Null)
