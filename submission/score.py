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
from submission import artifact, attention
from submission.artifact import Artifact
from submission.mixer import NO_HINT, Hints, MatchModel, mix_nats, mix_row
from submission.windows import SlidingModel

Tokens = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]


class Scorer:
    """Answers the judge; `score` and `predict` leave the state as it was, `accept` extends the history.

    `tokens` is the expected length of the stream: memory for the history is taken once, and grows if the
    stream turns out longer. `windows` is a model that is ready already; by default one is built on the CPU.
    """

    def __init__(
        self,
        built: Artifact,
        *,
        tokens: int = 0,
        mixer: bool = True,
        windows: SlidingModel | None = None,
    ) -> None:
        self._windows = windows or SlidingModel([built.build()], built.windows)
        self._matches = MatchModel(built.mixer) if mixer else None
        self._weights = np.array(built.mixer_weights)
        self._vocab_size = built.model.vocab_size
        # Beyond `accepted` lies scratch: the tokens that a question brings are laid there and forgotten.
        self._stream_T = np.zeros(tokens + 1, dtype=np.int64)
        self.accepted = 0
        nothing = np.zeros((0, 2))
        self._kept = (0, nothing.astype(np.int64), nothing)

    def score(self, block_T: Tokens) -> Floats:
        """Return the nats of each token of the block."""
        first, count = self._lay(block_T)
        if not count:
            return np.empty(0)
        target_T = self._stream_T[first : first + count]
        if self._matches is None:
            return np.maximum(-self._picked(first, target_T[:, None])[:, 0], 0.0)
        hints = self._matches.hints(self._stream_T, first, count)
        logp_T2 = self._picked(first, _asked(target_T, hints))
        return mix_nats(-logp_T2[:, 0], target_T, hints, logp_T2[:, 1], self._weights)

    def accept(self, block_T: Tokens) -> None:
        """Make the block part of the history."""
        first, count = self._lay(block_T)
        if self._matches is not None and count:
            self._matches.accept(self._stream_T, first, count)
        self.accepted += count

    def predict(self, prefix_M: Tokens) -> Floats:
        """Return the log-probabilities of the token that follows the history and the prefix."""
        first, count = self._lay(prefix_M)
        logp_V = self._windows.row(self._stream_T, first + count)
        if self._matches is None:
            return logp_V
        hints = self._matches.hints(self._stream_T, first, count + 1, asked=1)
        return mix_row(logp_V, int(hints.token_T[-1]), float(hints.rate_T[-1]), self._weights)

    def evidence(self, block_T: Tokens) -> tuple[Hints, Floats]:
        """Return the hints for the block and the model's log-probabilities of them, for tuning."""
        if self._matches is None:
            raise ValueError("this scorer was built without the mixer; build it with mixer=True")
        first, count = self._lay(block_T)
        hints = self._matches.hints(self._stream_T, first, count)
        target_T = self._stream_T[first : first + count]
        log_q_T = self._windows.picked(self._stream_T, first, _asked(target_T, hints))[:, 1]
        return hints, np.where(hints.token_T == NO_HINT, 0.0, log_q_T)

    def _picked(self, first: int, token_TK: npt.NDArray[np.int64]) -> Floats:
        """Return the model's log-probabilities of these tokens, and keep them for the next question.

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
            more_TK = self._windows.picked(self._stream_T, first + same, token_TK[same:])
            logp_TK = np.concatenate([logp_TK, more_TK]) if same else more_TK
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


def _asked(target_T: npt.NDArray[np.int64], hints: Hints) -> npt.NDArray[np.int64]:
    """Return, position by position, the target and the hint: all that mixing needs of a distribution."""
    return np.stack([target_T, np.maximum(hints.token_T, 0)], axis=1)


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
    return Scorer(
        built,
        tokens=opening.tokens + opening.block_tokens,
        mixer=os.environ.get("SUBMISSION_MIXER", "1") != "0",
        windows=ready_windows(built, devices, choice),
    )


def main() -> None:
    """Answer the judge until it closes."""
    sdk.serve(make_scorer)


if __name__ == "__main__":
    main()
