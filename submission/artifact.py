"""What crosses into the scorer besides code: the packed weights, and the mixer's few numbers beside them.

Two files, because the mixer is tuned on the weights as they were packed. Does not train, tune or score.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from submission import pack, quantise
from submission.mixer import NEUTRAL, MixerConfig
from submission.model import GPT, ModelConfig
from submission.windows import WindowConfig

WEIGHTS, MIXER = "weights.bin", "mixer.json"
FORMAT = 2


@dataclass(kw_only=True, slots=True)
class Artifact:
    """A quantised model with the settings it is to be scored with."""

    stored: dict[str, quantise.Array]
    """Quantised weights, as `quantise_state` names them."""
    model: ModelConfig
    windows: WindowConfig
    mixer: MixerConfig = field(default_factory=MixerConfig)
    mixer_weights: tuple[float, ...] = NEUTRAL

    def build(
        self, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> GPT:
        """Return the model with the weights as they were stored, computing in `dtype` on `device`."""
        model = GPT(self.model, dtype=dtype)
        state = quantise.dequantise_state(self.stored)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        return model.to(device)

    def to_bytes(self) -> bytes:
        """Return the content of WEIGHTS: all but the mixer."""
        meta = {"format": FORMAT, "model": asdict(self.model), "windows": asdict(self.windows)}
        return pack.pack(self.stored, meta)

    def mixer_bytes(self) -> bytes:
        """Return the content of MIXER."""
        meta = {"format": FORMAT, "mixer": asdict(self.mixer), "weights": self.mixer_weights}
        return json.dumps(meta, allow_nan=False).encode()


def from_bytes(weights: bytes, mixer: bytes | None = None) -> Artifact:
    """Return the artifact in these bytes; without `mixer`, one whose mixer does nothing.

    Raises CorruptBlobError where they are not one.
    """
    stored, meta = pack.unpack(weights)
    tuned = {"format": FORMAT, "mixer": {}, "weights": NEUTRAL} if mixer is None else _json(mixer)
    for part in (meta, tuned):
        if part.get("format") != FORMAT:
            raise pack.CorruptBlobError(
                f"artifact format {part.get('format')}, not {FORMAT}; export again"
            )
    return Artifact(
        stored=stored,
        model=ModelConfig(**meta["model"]),
        windows=WindowConfig(**meta["windows"]),
        mixer=MixerConfig(**_tuples(tuned["mixer"])),
        mixer_weights=tuple(tuned["weights"]),
    )


def load(folder: Path) -> Artifact:
    """Return the artifact in a folder."""
    return from_bytes((folder / WEIGHTS).read_bytes(), (folder / MIXER).read_bytes())


def _json(data: bytes) -> dict[str, Any]:
    try:
        read = json.loads(data)
    except ValueError as error:
        raise pack.CorruptBlobError(f"{MIXER} is not JSON: {error}; export again") from None
    if not isinstance(read, dict):
        raise pack.CorruptBlobError(f"{MIXER} holds no table; export again")
    return read


def _tuples(section: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in section.items()
    }
