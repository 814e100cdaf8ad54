"""The one output file: weights and every number that the scorer needs, as a packed blob.

Does not train, tune or score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from submission import pack, quantise
from submission.mixer import MixerConfig
from submission.model import GPT, ModelConfig
from submission.windows import WindowConfig

FILE_NAME = "weights.bin"
FORMAT = 1


@dataclass(kw_only=True, slots=True)
class Artifact:
    """A quantised model with the settings it is to be scored with."""

    stored: dict[str, quantise.Array]
    """Quantised weights, as `quantise_state` names them."""
    model: ModelConfig
    windows: WindowConfig
    mixer: MixerConfig
    mixer_weights: tuple[float, ...]

    def build(self) -> GPT:
        """Return the model with the weights as they were stored."""
        model = GPT(self.model)
        state = quantise.dequantise_state(self.stored)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        return model

    def to_bytes(self) -> bytes:
        """Return the blob."""
        meta = {
            "format": FORMAT,
            "model": asdict(self.model),
            "windows": asdict(self.windows),
            "mixer": asdict(self.mixer),
            "mixer_weights": self.mixer_weights,
        }
        return pack.pack(self.stored, meta)


def from_bytes(blob: bytes) -> Artifact:
    """Return the artifact in a blob.

    Raises CorruptBlobError where it is not one.
    """
    stored, meta = pack.unpack(blob)
    if meta.get("format") != FORMAT:
        raise pack.CorruptBlobError(
            f"artifact format {meta.get('format')}, not {FORMAT}; export again"
        )
    return Artifact(
        stored=stored,
        model=ModelConfig(**meta["model"]),
        windows=WindowConfig(**meta["windows"]),
        mixer=MixerConfig(**_tuples(meta["mixer"])),
        mixer_weights=tuple(meta["mixer_weights"]),
    )


def load(path: Path) -> Artifact:
    """Return the artifact in a file."""
    return from_bytes(path.read_bytes())


def _tuples(section: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in section.items()
    }
