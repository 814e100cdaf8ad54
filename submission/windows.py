"""Sliding windows over a token stream: which inputs the model sees for which position.

Windows are anchored at absolute stream positions: window j has the targets [j*stride, (j+1)*stride) and
reaches back to (j+1)*stride - length, or to the start of the stream. So the context of a position, between
length - stride and length tokens, does not depend on how the stream is cut into blocks, nor on whether one
position is asked for or a thousand.

Shapes: T positions, B windows of a batch, W inputs of a window, D model width, V vocabulary.
Does not reuse activations from one window to the next, nor normalise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from submission.model import BOS, GPT

Tokens = npt.NDArray[np.int64]


@dataclass(kw_only=True, slots=True, frozen=True)
class WindowConfig:
    """Sizes in tokens; `stride` divides `length`."""

    length: int
    stride: int
    batch_windows: int
    """Windows in one forward pass at most: bounds the memory."""

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if not 1 <= self.stride <= self.length or self.batch_windows < 1:
            raise ValueError(
                f"window sizes {self} do not fit; stride is 1..length, batches hold 1 or more"
            )


LONE_WORK = 200_000_000
"""Weights times inputs below which threads spend longer waiting for each other than working."""


class Window(NamedTuple):
    """Positions [begin, end) are input's successors; [wanted, end) are asked for."""

    begin: int
    wanted: int
    end: int


def cover(config: WindowConfig, first: int, count: int) -> list[Window]:
    """Return the windows whose wanted positions are first .. first+count-1, each exactly once."""
    stop = first + count
    windows = []
    for number in range(first // config.stride, -(-stop // config.stride)):
        anchor = (number + 1) * config.stride
        begin = max(0, anchor - config.length)
        windows.append(Window(begin, max(first, number * config.stride), min(anchor, stop)))
    return windows


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count != before:
            torch.set_num_threads(before)


class SlidingModel:
    """A model that answers for any run of stream positions."""

    def __init__(self, model: GPT, config: WindowConfig) -> None:
        if config.length > model.config.max_length:
            raise ValueError(
                f"windows of {config.length} tokens, but the model was built for {model.config.max_length}"
            )
        self.model = model.eval()
        self.config = config
        self._weights = sum(parameter.numel() for parameter in model.parameters())

    @torch.inference_mode()
    def logits(self, stream_T: Tokens, first: int, count: int) -> torch.Tensor:
        """Return logits, (count, V) float32, for the positions first .. first+count-1.

        Those for position t depend on stream_T[:t] alone; stream_T[first+count-1:] is not read.
        """
        windows = cover(self.config, first, count)
        step = self.config.batch_windows
        chunks = [windows[i : i + step] for i in range(0, len(windows), step)]
        work = self._weights * sum(window.end - window.begin for window in windows)
        with _threads(1 if work < LONE_WORK else torch.get_num_threads()):
            hidden_TD = torch.cat([self._hidden(stream_T, chunk) for chunk in chunks])
            return self.model.logits(hidden_TD)

    def _hidden(self, stream_T: Tokens, windows: list[Window]) -> torch.Tensor:
        width = max(window.end - window.begin for window in windows)
        inputs_BW = np.full((len(windows), width), BOS, dtype=np.int64)
        for row_W, window in zip(inputs_BW, windows, strict=True):
            # The input that precedes position t is token t-1; before position 0 it is BOS.
            skip = 1 if window.begin == 0 else 0
            seen_T = stream_T[window.begin - 1 + skip : window.end - 1]
            row_W[skip : skip + len(seen_T)] = seen_T
        device = self.model.embedding.device
        hidden_BWD = self.model(torch.from_numpy(inputs_BW).to(device))
        return torch.cat(
            [
                row_WD[window.wanted - window.begin : window.end - window.begin]
                for row_WD, window in zip(hidden_BWD, windows, strict=True)
            ]
        )
