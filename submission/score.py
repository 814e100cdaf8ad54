"""The scorer: sliding windows of the model over the history, then the mixer.

    python -m submission.score          started by the judge in the sealed artifact

In the environment (the manifest's [score].env) SUBMISSION_MIXER=0 leaves the mixer out and
SUBMISSION_ATTENTION names the kernel: see attention.py.

Shapes: T tokens of a block, M tokens of a prefix, V vocabulary.
What it answers for a token is a function of the tokens before it alone: the windows are anchored at absolute
positions and the mixer reads no target. Does not adapt the model's weights.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness import sdk
from native import counts
from submission import artifact, attention
from submission.artifact import Artifact
from submission.experts import Experts
from submission.mixer import Shares, Spoken, shares
from submission.windows import SlidingModel, log_mass, members

Tokens = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]


class Scorer:
    """Answers the judge; `score` and `predict` leave the state as it was, `accept` extends the history.

    `tokens` is the expected length of the stream, after which the experts' tables are sized: memory is
    taken once, and the history's grows if the stream turns out longer. `block_tokens` is the longest
    question. `windows` is a model that is ready already; by default one is built on the CPU.
    """

    def __init__(
        self,
        built: Artifact,
        *,
        tokens: int = 0,
        block_tokens: int = 1024,
        mixer: bool = True,
        windows: SlidingModel | None = None,
    ) -> None:
        self._windows = windows or SlidingModel([built.build()], built.windows)
        self._vocab_size = built.model.vocab_size
        pieces = built.known_pieces()
        self._experts = (
            Experts(built.mixer, pieces, tokens=tokens, block_tokens=block_tokens)
            if mixer
            else None
        )
        self._mixture = built.mixture(self._windows.device)
        self._piece_V = torch.from_numpy(pieces.class_V).long().to(self._windows.device)
        self._member_V3 = members(self._piece_V)
        # Beyond `accepted` lies scratch: the tokens that a question brings are laid there and forgotten.
        self._stream_T = np.zeros(tokens + 1, dtype=np.int64)
        self.accepted = 0
        self._kept = (0, np.zeros((0, 1), dtype=np.int64), torch.zeros((0, 4)))

    def score(self, block_T: Tokens) -> Floats:
        """Return the nats of each token of the block."""
        first, count = self._lay(block_T)
        if not count:
            return np.empty(0)
        if self._experts is None:
            logp_T = self._picked(first, self._stream_T[first : first + count, None])[:, 0]
        else:
            now, spoken = self.evidence(block_T)
            logp_T = self._mixture(now, spoken).logp_TK[:, 0]
        return np.maximum(-logp_T.cpu().numpy(), 0.0)

    def accept(self, block_T: Tokens) -> None:
        """Make the block part of the history."""
        first, count = self._lay(block_T)
        if self._experts is not None and count:
            if self._mixture.calibration is not None:
                self._mixture.learn(*self.evidence(block_T))
            self._experts.accept(self._stream_T[first : first + count])
        self.accepted += count

    def predict(self, prefix_M: Tokens) -> Floats:
        """Return the log-probabilities of the token that follows the history and the prefix."""
        first, count = self._lay(prefix_M)
        logp_1V = self._windows.row(self._stream_T, first + count)[None]
        if self._experts is None:
            return logp_1V[0].cpu().numpy()
        prefix_M = self._stream_T[first : first + count]
        spoken = self._experts.say(prefix_M, first=count, device=logp_1V.device)
        now = shares(
            self._piece_V,
            spoken,
            torch.arange(self._vocab_size, device=logp_1V.device)[None],
            logp_1V,
            logp_1V.gather(1, spoken.token_TE.clamp(min=0)),
            log_mass(logp_1V, self._member_V3),
        )
        return self._mixture(now, spoken).logp_TK[0].cpu().numpy()

    def evidence(self, block_T: Tokens) -> tuple[Shares, Spoken]:
        """Return the model's distribution at the block's tokens, as far as mixing asks, and the hints.

        Asked about are the tokens themselves (K = 1). Raises ValueError for a scorer without the mixer.
        """
        if self._experts is None:
            raise ValueError("this scorer was built without the mixer; build it with mixer=True")
        first, count = self._lay(block_T)
        target_T = self._stream_T[first : first + count]
        spoken = self._experts.say(target_T).part(slice(count))
        asked_TK = np.column_stack([target_T, spoken.token_TE.clamp(min=0).numpy()])
        picked = self._picked(first, asked_TK)
        spoken = spoken.on(picked.device)
        target_T1 = torch.from_numpy(target_T[:, None].copy()).to(picked.device)
        hint_logp_TE, piece_mass_T3 = picked[:, 1:-3], picked[:, -3:]
        now = shares(self._piece_V, spoken, target_T1, picked[:, :1], hint_logp_TE, piece_mass_T3)
        return now, spoken

    def _picked(self, first: int, token_TK: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return the model's log-probabilities of these tokens, and of the classes for the mixer; keep them.

        What was worked out for the same history and the same beginning of a block is taken again: the model
        would give it once more. A question that differs in its last token costs one window, not a block.
        """
        kept_first, kept_TK, kept = self._kept
        same = 0
        if kept_first == first:
            shorter = min(len(kept_TK), len(token_TK))
            differs = np.flatnonzero((kept_TK[:shorter] != token_TK[:shorter]).any(axis=1))
            same = int(differs[0]) if len(differs) else shorter
        logp_TK = kept[:same]
        if same < len(token_TK):
            more_TK = self._windows.picked(
                self._stream_T,
                first + same,
                token_TK[same:],
                self._member_V3 if self._experts is not None else None,
            )
            logp_TK = torch.cat([logp_TK, more_TK]) if same else more_TK
        # A copy: the tokens may be a view of the stream, where the next question is laid.
        self._kept = (first, token_TK.copy(), logp_TK)
        return logp_TK

    def _lay(self, tokens_T: Tokens) -> tuple[int, int]:
        """Write tokens beyond the history; return where they begin and how many they are."""
        first, count = self.accepted, len(tokens_T)
        if count and int(tokens_T.max()) >= self._vocab_size:
            raise ValueError(f"token {int(tokens_T.max())} is not below {self._vocab_size}")
        # One more than asked: the position that `predict` answers for lies behind its prefix.
        if first + count + 1 > len(self._stream_T):
            grown_T = np.zeros(2 * (first + count + 1), dtype=np.int64)
            grown_T[:first] = self._stream_T[:first]
            self._stream_T = grown_T
        self._stream_T[first : first + count] = tokens_T
        return first, count


def ready_windows(
    built: Artifact, devices: Sequence[torch.device], choice: attention.Choice
) -> SlidingModel:
    """Return the artifact's model on these devices, compiled and run once where they are GPUs."""
    gpu = devices[0].type == "cuda"
    models = [
        built.build(device=device, dtype=torch.bfloat16 if gpu else torch.float32)
        for device in devices
    ]
    for model in models:
        model.attend = choice.attend
    windows = SlidingModel(models, built.windows, compiled=gpu)
    if gpu:
        # What is compiled here keeps the kernel that it found.
        with attention.preferring(choice.name):
            windows.warm_up()
    return windows


def make_scorer(opening: sdk.Opening) -> Scorer:
    """Return the scorer of the artifact in the working directory, on every GPU there is, else on the CPU."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    built = artifact.load(Path())
    if built.model.vocab_size != opening.vocab_size:
        raise ValueError(
            f"the stream has {opening.vocab_size} tokens, the model {built.model.vocab_size}; "
            "score with the data it was trained for"
        )
    devices = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    devices = devices or [torch.device("cpu")]
    wanted = os.environ.get("SUBMISSION_ATTENTION", "sdpa")
    choice = attention.choose(wanted, devices[0], built.model.head_size)
    print(choice.reason)
    print(counts.which())
    return Scorer(
        built,
        tokens=opening.tokens + opening.block_tokens,
        block_tokens=opening.block_tokens,
        mixer=os.environ.get("SUBMISSION_MIXER", "1") != "0",
        windows=ready_windows(built, devices, choice),
    )


def main() -> None:
    """Answer the judge until it closes."""
    sdk.serve(make_scorer)


if __name__ == "__main__":
    main()
