"""Named sizes: one system, from seconds on two CPU cores to the contest's own.

Only numbers differ between presets. Does not read the environment: train.py chooses one by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from submission.mixer import MixerConfig
from submission.model import ModelConfig
from submission.optimiser import OptimiserConfig, Schedule
from submission.windows import WindowConfig


@dataclass(kw_only=True, slots=True, frozen=True)
class Preset:
    """Everything that a run needs besides data, seed and deadline."""

    model: ModelConfig
    """`vocab_size` is a placeholder: the judge's opening decides."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: Schedule
    windows: WindowConfig
    """For scoring; training uses windows of the same length."""
    mixer: MixerConfig
    batch_windows: int
    """Windows in one training step."""
    clip: float = 0.3
    """Largest norm of the whole gradient."""
    bits: int
    """Of the weights in banks."""
    table_bits: int = 8
    """Of embeddings, tables and single matrices."""
    smallest: int
    """Arrays with fewer elements are stored as float16."""
    held_out_tokens: int
    """Tail of the train tokens on which the mixer is tuned, and nothing is trained."""
    reserve_s: float
    """Seconds before the deadline at which training stops at the latest, for the export."""


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
    schedule=Schedule(steps=200, warmdown_steps=150),
    windows=WindowConfig(length=256, stride=64, batch_windows=32),
    mixer=MixerConfig(),
    batch_windows=8,
    bits=8,
    smallest=4096,
    held_out_tokens=32_768,
    reserve_s=20.0,
)

CONTEST = Preset(
    model=ModelConfig(),
    schedule=Schedule(steps=6_700, warmdown_steps=3_500),
    windows=WindowConfig(length=2048, stride=64, batch_windows=32),
    mixer=MixerConfig(table_bits=24),
    batch_windows=384,
    bits=6,
    smallest=65_537,
    held_out_tokens=131_072,
    reserve_s=60.0,
)

PRESETS = {"smoke": SMOKE, "contest": CONTEST}
