"""A bigram and the three n-gram experts of #1302, with their gates and boosts, divided by their sum."""

import sys

import numpy as np
import torch

from harness import sdk
from submission import designs, experts, mixer, pieces
from submission.windows import log_mass, members

# The tiny data's tokens: a control token, bytes, word starts, continuations.
CLASSES_V = np.repeat(
    [mixer.CONTROL, mixer.CONTINUES, mixer.STARTS, mixer.CONTINUES], [1, 7, 28, 28]
)
LETTERS = "abcdefghijklmnopqrstuvwxyzäö"
TEXTS = [b"", *(mark.encode() for mark in ".,;:!?\n"), *(letter.encode() for letter in 2 * LETTERS)]


def train() -> None:
    run = sdk.connect()
    training = run.ready()
    counts_VV = np.full((run.opening.vocab_size,) * 2, 0.1)
    for shard in training.shards:
        tokens_T = shard.tokens()
        np.add.at(counts_VV, (tokens_T[:-1], tokens_T[1:]), 1.0)
    np.save(training.out / "counts.npy", counts_VV)


class Scorer:
    def __init__(self, opening: sdk.Opening) -> None:
        torch.set_num_threads(1)
        counts_VV = np.load("counts.npy", allow_pickle=False)
        self.logp_VV = torch.from_numpy(counts_VV / counts_VV.sum(axis=1, keepdims=True)).log()
        self.piece_V = torch.from_numpy(CLASSES_V)
        self.experts = experts.Experts(
            experts.MixerConfig(design="L4", contexts=experts.PUBLISHED),
            pieces.Pieces(tuple(TEXTS), CLASSES_V.astype(np.uint8)),
            tokens=opening.tokens,
            block_tokens=opening.block_tokens,
        )
        self.last = 0  # the token before the next block

    def mixed(self, block_T: np.ndarray, first: int, token_TK: torch.Tensor) -> torch.Tensor:
        """Return the experts' mixture at the positions first .. len(block_T), for the tokens asked about."""
        before_T = torch.from_numpy(np.append(self.last, block_T).astype(np.int64))[first:]
        rows_TV = self.logp_VV[before_T[: len(token_TK)]]
        spoken = self.experts.say(block_T, first).part(slice(len(token_TK)))
        now = mixer.shares(
            self.piece_V,
            spoken,
            token_TK,
            rows_TV.gather(1, token_TK),
            rows_TV.gather(1, spoken.token_TE.clamp(min=0)),
            log_mass(rows_TV, members(self.piece_V)),
        )
        return self.credited(now, spoken)

    def credited(self, now: mixer.Shares, spoken: mixer.Spoken) -> torch.Tensor:
        credited, log_sum_T = designs.published(now, spoken)
        return credited.logp_TK - log_sum_T[:, None]

    def score(self, block_T: np.ndarray) -> np.ndarray:
        target_T1 = torch.from_numpy(block_T[:, None].astype(np.int64))
        return np.maximum(-self.mixed(block_T, 0, target_T1)[:, 0].numpy(), 0.0)

    def accept(self, block_T: np.ndarray) -> None:
        self.experts.accept(block_T)
        self.last = int(block_T[-1])

    def predict(self, prefix_M: np.ndarray) -> np.ndarray:
        every_1V = torch.arange(len(CLASSES_V))[None]
        row_V = self.mixed(prefix_M, len(prefix_M), every_1V)[0]
        return row_V.numpy()


if __name__ == "__main__":
    train() if sys.argv[1] == "train" else sdk.serve(Scorer)
