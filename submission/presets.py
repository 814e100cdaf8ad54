"""Named sizes: one system, from seconds on two CPU cores to the contest's own.

Only sizes, numbers and switches differ between presets. Does not read the environment: train.py chooses
one by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from submission.experts import MixerConfig
from submission.export import QuantiseConfig
from submission.model import ModelConfig
from submission.optimiser import OptimiserConfig
from submission.schedule import Schedule
from submission.windows import WindowConfig


@dataclass(kw_only=True, slots=True, frozen=True)
class QatConfig:
    """Soft rounding at the end of training."""

    start: float = 0.15
    """On as soon as the learning rate's factor is below this; 0 leaves it off."""
    first_alpha: float = 1.0
    last_alpha: float = 16.0
    """Sharpness at the beginning and at factor 0, linear between."""


@dataclass(kw_only=True, slots=True, frozen=True)
class CalibrationConfig:
    """The text whose Hessians GPTQ takes."""

    source: Literal["train", "generated"] = "train"
    """Windows of the train shards, or text that the model writes itself."""
    batches: int = 16
    batch_windows: int = 32
    """In all ranks together; each takes its share."""
    temperature: float = 0.8
    """Of generated text."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Preset:
    """Everything that a run needs besides data, seed, cap and deadline."""

    model: ModelConfig
    """`vocab_size` is a placeholder: the judge's opening decides."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: Schedule
    batch_windows: int
    """Windows in one training step, over all ranks."""
    micro_windows: int
    """Windows in one forward pass of one rank, at most: bounds the memory."""
    ema_decay: float = 0.997
    """Of the average of weights, a step; 0 leaves it out."""
    qat: QatConfig = field(default_factory=QatConfig)
    quantise: QuantiseConfig = field(default_factory=QuantiseConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    windows: WindowConfig
    """For scoring; training uses windows of the same length."""
    mixer: MixerConfig
    use_mixer: bool = True
    """Off: the mixing weights stay those that change nothing."""
    held_out_tokens: int
    """Tail of the train tokens, on which weights are compared and the mixer is tuned; never trained on."""
    reserve_s: float
    """Seconds kept for the export where it is not rehearsed; else the least that is kept."""
    rehearse: bool = False
    """Run the export once before the clock starts, and keep as much time as that took, with a margin."""
    kernels: bool = True
    """Use the fused kernels of kernels.py where there is a GPU with Triton."""
    compile: bool = False
    """Compile the training step and the scorer's passes, before the clock starts."""


CONTEXTS = ("token:16", "token:8", "token:4", "within:1", "within:0", "word:3", "word:2")
SMOKE_CONTEXTS = (
    *(f"token:{length}" for length in (12, 8, 6, 4, 3, 2)),
    *("within:1", "within:0", "word:2", "word:1"),
)
"""Both chosen on held-out train text with a trained model, among some ten sets: see docs/submission.md."""

SMOKE = Preset(
    model=ModelConfig(
        layers=2,
        width=96,
        query_heads=3,
        kv_heads=1,
        mlp_width=288,
        max_length=256,
        rotary_base=1e4,
        bigram_rows=2048,
        bigram_width=32,
        value_width=32,
        value_layers=1,
    ),
    optimiser=OptimiserConfig(
        muon_rate_early=0.08,
        muon_rate_late=0.08,
        muon_momentum_start=0.85,
        muon_momentum=0.95,
        momentum_warmup_steps=100,
        table_rate=0.05,
        other_rate=0.04,
    ),
    schedule=Schedule(steps=200, warmdown=0.75),
    batch_windows=8,
    micro_windows=8,
    ema_decay=0.9,
    quantise=QuantiseConfig(smallest=4096, smallest_step=1 / 512),
    calibration=CalibrationConfig(batches=4, batch_windows=8),
    windows=WindowConfig(length=256, stride=64, batch_windows=32),
    mixer=MixerConfig(contexts=SMOKE_CONTEXTS),
    held_out_tokens=32_768,
    reserve_s=20.0,
    kernels=False,  # its sizes are no powers of two
)

H100 = Preset(
    model=ModelConfig(),
    optimiser=OptimiserConfig(
        muon_rate_early=0.030,
        muon_rate_late=0.036,
        muon_momentum=0.97,
        momentum_warmup_steps=300,
    ),
    schedule=Schedule(steps=1_000_000, warmdown=0.6),
    batch_windows=64,
    micro_windows=64,
    ema_decay=0.98,
    qat=QatConfig(start=0.05),
    quantise=QuantiseConfig(smallest_step=1 / 512),
    calibration=CalibrationConfig(batches=16, batch_windows=32),
    windows=WindowConfig(length=2048, stride=64, batch_windows=32),
    mixer=MixerConfig(contexts=CONTEXTS),
    held_out_tokens=131_072,
    reserve_s=10.0,
    rehearse=True,
    compile=True,
)
"""One GPU, some minutes: the clock decides the number of steps."""

RECORD = Preset(
    model=ModelConfig(),
    schedule=Schedule(steps=1_000_000, warmdown=3_500 / 6_700),
    batch_windows=384,
    micro_windows=48,
    calibration=CalibrationConfig(batches=64, batch_windows=384),
    windows=WindowConfig(length=2048, stride=64, batch_windows=32),
    mixer=MixerConfig(contexts=CONTEXTS),
    held_out_tokens=131_072,
    reserve_s=10.0,
    rehearse=True,
    compile=True,
)
"""Eight GPUs, 600 s: the constants of the original, but for a number of steps that the clock decides."""

PRESETS = {"smoke": SMOKE, "h100": H100, "record": RECORD}
