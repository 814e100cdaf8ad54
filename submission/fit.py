"""The training loop: one step after the other until the schedule or the judge's clock says that it is over.

Shapes: B windows of a batch, T tokens of a window.
Does not read data by itself, export or speak to the judge: see loader.py, export.py, train.py.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch

from submission import kernels
from submission.attention import Attend, attend
from submission.average import Average
from submission.export import planned_step
from submission.model import GPT
from submission.optimiser import Optimiser
from submission.parallel import World
from submission.presets import Preset
from submission.qat import SoftRound, sharpness


@dataclass(slots=True)
class Progress:
    """What `fit` did."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    """Mean nats of each batch before its step, over all ranks."""
    planned_step: float = 0.0
    """The smallest quantisation step that the weights were trained against; 0 where they were not."""


class Learner:
    """A model with its optimiser, its average and its soft rounding; takes one batch a step."""

    def __init__(
        self,
        preset: Preset,
        world: World,
        *,
        vocab_size: int,
        seed: int,
        attend: Attend = attend,
    ) -> None:
        self.preset, self.world, self._seed = preset, world, seed
        self._gpu = world.device.type == "cuda"
        config = replace(preset.model, vocab_size=vocab_size)
        dtype = torch.bfloat16 if self._gpu else torch.float32
        self.model = GPT(config, dtype=dtype).to(world.device)
        self.model.attend = attend
        if preset.kernels and kernels.available(world.device):
            self.model.kernels = kernels
        self.rounding = SoftRound(preset.quantise.gptq.bits).to(world.device)
        self._loss: Callable[..., torch.Tensor] = self.model.loss
        if preset.compile:
            self._loss = torch.compile(self.model.loss, dynamic=False)
        self._done: list[torch.cuda.Event] = []
        self.restart()

    def restart(self) -> None:
        """Draw the starting weights anew and forget every step."""
        torch.manual_seed(self._seed)
        self.model.reset()
        self.model.rounding = self.rounding if self.preset.qat.start else None
        self.rounding.on.zero_()
        self._optimiser = Optimiser(self.model, self.preset.optimiser, self.world)
        decay = self.preset.ema_decay
        self.average = Average(self.model, decay) if decay else None

    def step(self, tokens_BT: torch.Tensor, factor: float) -> torch.Tensor:
        """Learn from this rank's windows; return their mean nats, a scalar on the device, over all ranks.

        The answer may still be under way: `catch_up` waits.
        """
        tokens_BT = tokens_BT.to(self.world.device, non_blocking=True)
        # Of the mean over ranks, so that each window counts alike where ranks have unlike numbers of them.
        share = self.preset.batch_windows / self.world.size
        total = torch.zeros((), device=self.world.device)
        for part_BT in tokens_BT.split(self.preset.micro_windows):
            loss = self._loss(part_BT[:, :-1], part_BT[:, 1:]) * (len(part_BT) / share)
            loss.backward()
            total += loss.detach()
        self._optimiser.step(factor)
        self.model.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        self.world.average_([total])
        if self._gpu:
            self._done.append(torch.cuda.Event())
            self._done[-1].record()
        return total

    def catch_up(self, behind: int = 0) -> None:
        """Wait until all steps but the last `behind` have been made."""
        while len(self._done) > behind:
            self._done.pop(0).synchronize()

    @contextlib.contextmanager
    def unrounded(self) -> Iterator[GPT]:
        """Lend the model as it is stored: without soft rounding, uncompiled."""
        rounding, self.model.rounding = self.model.rounding, None
        try:
            yield self.model
        finally:
            self.model.rounding = rounding

    @torch.no_grad()
    def nats(self, tokens_BT: torch.Tensor) -> float:
        """Return the mean nats of these windows with the weights as they are."""
        total = 0.0
        with self.unrounded() as model:
            for part_BT in tokens_BT.to(self.world.device).split(self.preset.micro_windows):
                loss = model.loss(part_BT[:, :-1], part_BT[:, 1:])
                total += float(loss) * len(part_BT) / len(tokens_BT)
        return total


def fit(
    learner: Learner,
    batches: Iterator[torch.Tensor] | None,
    *,
    deadline_s: float,
    cap_bytes: int,
    now: Callable[[], float] = time.monotonic,
    log: Callable[[str], None] = print,
) -> Progress:
    """Train until the schedule's last step or until `deadline_s` on the clock `now`, warmed down either way.

    Rank 0 brings `batches`, (B, T + 1) int64, and the decisions; the other ranks bring None. `cap_bytes` is
    what the packed weights may have: soft rounding trains against the step that should fit.
    """
    preset, world, progress = learner.preset, learner.world, Progress()
    started_s = now()
    pending: list[torch.Tensor] = []
    while True:
        learner.catch_up(behind=1)
        here_s = now()
        left = preset.schedule.remaining(progress.steps, here_s - started_s, deadline_s - here_s)
        left = float(world.tell(torch.tensor([left], dtype=torch.float64)))
        if left < 1.0:
            break
        factor = preset.schedule.factor(progress.steps, left)
        if factor < preset.qat.start:
            _round_softly(learner, progress, factor, cap_bytes)
        tokens_BT = world.deal(batches, preset.batch_windows, preset.windows.length + 1)
        pending.append(learner.step(tokens_BT, factor))
        if progress.steps % 50 == 0 and world.speaks:
            log(_line(progress.steps, float(pending[-1]), now() - started_s))
        progress.steps += 1
    learner.catch_up()
    progress.losses = [float(loss) for loss in pending]
    if world.speaks:
        log(f"trained {progress.steps} steps in {now() - started_s:.1f} s")
    return progress


def _round_softly(learner: Learner, progress: Progress, factor: float, cap_bytes: int) -> None:
    preset = learner.preset
    if not progress.planned_step:
        step = planned_step(learner.model, preset.quantise, cap_bytes)
        told = learner.world.tell(torch.tensor([step], dtype=torch.float64))
        progress.planned_step = float(told)
    qat = preset.qat
    alpha = sharpness(factor, qat.start, qat.first_alpha, qat.last_alpha)
    learner.rounding.set(alpha=alpha, smallest_step=progress.planned_step)


def _line(step: int, loss: float, elapsed_s: float) -> str:
    return f"step {step}: {loss:.4f} nats, {elapsed_s:.1f} s"
