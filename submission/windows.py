"""Sliding windows over a token stream: which inputs the model sees for which position.

Windows are anchored at absolute stream positions: window j has the targets [j*stride, (j+1)*stride) and
reaches back to (j+1)*stride - length, or to the start of the stream. So the context of a position, between
length - stride + 1 and length tokens, does not depend on how the stream is cut into blocks, nor on
whether one position is asked for or a thousand.

On a GPU every pass has one shape, whatever is asked: `batch_windows` windows of `length` inputs, the
spare ones empty. So the same compiled kernels answer for a position each time, and give the same bits. On
a CPU, passes are as small as the question, and differ in the last digits of float32.

Shapes: T positions, B windows of a batch, W inputs of a window, D model width, V vocabulary, K tokens asked
about at each position.
Does not mix, nor keep activations from one window for the next: each window starts elsewhere, and what its
first layer attends to, all layers above carry on; only a window that starts at the same token can share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from submission.model import BOS, GPT

Tokens = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(kw_only=True, slots=True, frozen=True)
class WindowConfig:
    """Sizes in tokens; `stride` is at most `length`."""

    length: int
    stride: int
    batch_windows: int
    """Windows in one forward pass at most (on a GPU: exactly): bounds the memory."""

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if not 1 <= self.stride <= self.length or self.batch_windows < 1:
            raise ValueError(
                f"window sizes {self} do not fit; stride is 1..length, batches hold 1 or more"
            )


LONE_WORK = 200_000_000
"""Weights times inputs below which threads spend longer waiting for each other than working."""


class Window(NamedTuple):
    """Positions [begin, end) are input's successors; [wanted, end) are asked for.

    `own` is the first position that the window answers for, whoever asks.
    """

    begin: int
    own: int
    wanted: int
    end: int


def cover(config: WindowConfig, first: int, count: int) -> list[Window]:
    """Return the windows whose wanted positions are first .. first+count-1, each exactly once."""
    stop = first + count
    windows = []
    for number in range(first // config.stride, -(-stop // config.stride)):
        own, anchor = number * config.stride, (number + 1) * config.stride
        begin = max(0, anchor - config.length)
        windows.append(Window(begin, own, max(first, own), min(anchor, stop)))
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
    """A model that answers for any run of stream positions; copies on several GPUs share the batches."""

    def __init__(
        self, models: Sequence[GPT], config: WindowConfig, *, compiled: bool = False
    ) -> None:
        for model in models:
            if config.length > model.config.max_length:
                raise ValueError(
                    f"windows of {config.length} tokens, but the model was built for "
                    f"{model.config.max_length}"
                )
        self._models = [model.eval() for model in models]
        self._trunks = [torch.compile(m, dynamic=False) if compiled else m for m in models]
        self.config = config
        self._one_shape = self._models[0].embedding.device.type == "cuda"
        self._weights = sum(parameter.numel() for parameter in self._models[0].parameters())

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put other weights into every copy; what was compiled stays."""
        for model in self._models:
            model.load_state_dict(state)

    def warm_up(self) -> None:
        """Run every copy once on nothing, so that what is compiled or tuned is done before the clock runs."""
        empty_T = np.full(self.config.length, BOS, dtype=np.int64)
        for _ in self._models:
            self._models.append(self._models.pop(0))
            self._trunks.append(self._trunks.pop(0))
            self.row(empty_T, 0)

    def picked(
        self,
        stream_T: Tokens,
        first: int,
        token_TK: Tokens,
        member_V3: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the log-probabilities, (T, K) float64, of tokens at the positions first .. first+T-1.

        With `member_V3`, see `members`, three columns more: the log-probability that the token is of each
        group. Those for position t depend on stream_T[:t] alone; stream_T[first+T-1:] is not
        read. They lie on the first model's device.
        """
        parts, done = [], 0
        for rows_V in self._passes(stream_T, first, len(token_TK)):
            asked_TK = torch.from_numpy(token_TK[done : done + len(rows_V)]).to(rows_V.device)
            picked_TK = rows_V.gather(1, asked_TK)
            if member_V3 is not None:
                mass_T3 = log_mass(rows_V, member_V3.to(rows_V.device))
                picked_TK = torch.cat([picked_TK, mass_T3], dim=1)
            parts.append(picked_TK)
            done += len(rows_V)
        return torch.cat([part.to(self.device) for part in parts])

    def row(self, stream_T: Tokens, position: int) -> torch.Tensor:
        """Return the log-probabilities, (V,) float64, at one position, on the first model's device."""
        return next(self._passes(stream_T, position, 1))[0].to(self.device)

    @property
    def device(self) -> torch.device:
        """Where answers lie."""
        return self._models[0].embedding.device

    @torch.inference_mode()
    def _passes(self, stream_T: Tokens, first: int, count: int) -> Iterator[torch.Tensor]:
        """Yield log-probabilities, (some positions, V) float64, in order, perhaps still being worked out."""
        windows = cover(self.config, first, count)
        work = self._weights * sum(window.end - window.begin for window in windows)
        lone = not self._one_shape and work < LONE_WORK
        with _threads(1 if lone else torch.get_num_threads()):
            passes = _Passes(stream_T, windows, self.config, self._one_shape)
            devices = [model.embedding.device for model in self._models]
            placed = [passes.on(device) for device in devices]
            for number in range(passes.count):
                which = number % len(self._models)
                ids_BW, first_B, rows_T = placed[which](number)
                wanted = (first_B, passes.wanted)
                hidden_RD = self._trunks[which](ids_BW, wanted=wanted).flatten(0, 1)
                logits_RV = self._models[which].logits(hidden_RD.float())
                # float64, so that a row sums to 1 far within what the judge asks.
                yield logits_RV[rows_T].double().log_softmax(-1)


def members(group_V: torch.Tensor) -> torch.Tensor:
    """Return (V, 3) float64: 1 where the token is of the group."""
    return torch.nn.functional.one_hot(group_V.long(), 3).double()


def log_mass(logp_TV: torch.Tensor, member_V3: torch.Tensor) -> torch.Tensor:
    """Return the log-probability, (T, 3), that a token is of each group; -inf of an empty one."""
    return (logp_TV.exp() @ member_V3).log()


Placed = Callable[[int], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


class _Passes:
    """The forward passes that some windows take: a fixed number of windows of one width each."""

    def __init__(
        self, stream_T: Tokens, windows: list[Window], config: WindowConfig, one_shape: bool
    ) -> None:
        begin_W, own_W, wanted_W, end_W = np.array(windows, dtype=np.int64).T
        if one_shape:
            self._step, self._width, self.wanted = (
                config.batch_windows,
                config.length,
                config.stride,
            )
            first_W = own_W - begin_W
        else:
            self._step = min(len(windows), config.batch_windows)
            self._width = int((end_W - begin_W).max())
            self.wanted = int((end_W - wanted_W).max())
            first_W = np.minimum(wanted_W - begin_W, self._width - self.wanted)
        low, stop = int(begin_W.min()), int(end_W.max())
        # The input that precedes position t is token t-1; before position 0 it is BOS.
        before = [BOS] if low == 0 else []
        self._input_T = np.append(before, stream_T[max(0, low - 1) : stop - 1]).astype(np.int64)
        self.count = -(-len(windows) // self._step)
        spare = self.count * self._step - len(windows) if one_shape else 0
        self._begin_W = np.pad(begin_W - low, (0, spare))
        self._first_W = np.pad(first_W, (0, spare))
        asked_W = (wanted_W - begin_W - first_W, end_W - begin_W - first_W)
        self._rows = [
            np.concatenate(
                [
                    np.arange(begin, end) + row * self.wanted
                    for row, (begin, end) in enumerate(
                        zip(*(part[at : at + self._step] for part in asked_W), strict=True)
                    )
                ]
            )
            for at in range(0, len(windows), self._step)
        ]

    def on(self, device: torch.device) -> Placed:
        """Return what gives the n-th pass's inputs, its first wanted positions and the rows asked for.

        All goes to the device at once: a copy between two passes would wait for the first.
        """
        input_T, begin_W, first_W, rows_T = (
            torch.from_numpy(array).to(device)
            for array in (self._input_T, self._begin_W, self._first_W, np.concatenate(self._rows))
        )
        ends = np.cumsum([0, *map(len, self._rows)]).tolist()
        reach_W = torch.arange(self._width, device=device)

        def give(number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            here = slice(number * self._step, (number + 1) * self._step)
            # Beyond the last position there is nothing to read; what stands there is looked at by nobody.
            at_BW = (begin_W[here, None] + reach_W).clamp(max=len(input_T) - 1)
            return input_T[at_BW], first_W[here], rows_T[ends[number] : ends[number + 1]]

        return give
