"""What crosses into the scorer besides code: the packed weights, and beside them what the mixer needs.

Two files, because the mixer is tuned on the weights as they were packed; and the compiled counts with the
code that calls them, as a folder `native`. Does not train, tune or score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import native
from submission import pack, pieces, quantise
from submission.designs import EXPERTS, NEUTRAL, Mixture
from submission.experts import MixerConfig
from submission.model import GPT, ModelConfig
from submission.pieces import Pieces
from submission.windows import WindowConfig

WEIGHTS, MIXER = "weights.bin", "mixer.bin"
NATIVE = ("__init__.py", "counts.py", "reference.py", "words.py")
NATIVE_BUILT = "native/_ngram.abi3.so"
FORMAT = 3


@dataclass(kw_only=True, slots=True)
class Artifact:
    """A quantised model with the settings it is to be scored with."""

    stored: dict[str, quantise.Array]
    """Quantised weights, as `quantise_state` names them."""
    model: ModelConfig
    windows: WindowConfig
    mixer: MixerConfig = field(default_factory=MixerConfig)
    mixer_weights: tuple[tuple[float, ...], ...] | None = None
    """Of each expert, for the design L6; None for those that change nothing."""
    pieces: Pieces | None = None
    """None where no tokenizer came with the data: words cannot be followed then."""

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
        meta = {"format": FORMAT, "mixer": asdict(self.mixer), "weights": self.mixture().weights}
        return pack.pack(self.known_pieces().arrays(), meta)

    def mixture(self, device: torch.device | str = "cpu") -> Mixture:
        """Return the rule by which the experts are mixed in, with state of its own on `device`."""
        weights = self.mixer_weights or (NEUTRAL,) * len(EXPERTS)
        return Mixture(self.mixer.design, weights, device=device)

    def known_pieces(self) -> Pieces:
        """Return the vocabulary's pieces; without a tokenizer, ones that nothing is known of.

        Raises ValueError for those of another vocabulary.
        """
        known = self.pieces or pieces.unknown(self.model.vocab_size)
        if len(known.texts) != self.model.vocab_size:
            raise ValueError(
                f"{len(known.texts)} pieces for a vocabulary of {self.model.vocab_size}; "
                "give the tokenizer of the data"
            )
        return known


def from_bytes(weights: bytes, mixer: bytes | None = None) -> Artifact:
    """Return the artifact in these bytes; without `mixer`, one whose mixer does nothing.

    Raises CorruptBlobError where they are not one.
    """
    stored, meta = pack.unpack(weights)
    built = Artifact(
        stored=stored,
        model=ModelConfig(**_section(meta, "model")),
        windows=WindowConfig(**_section(meta, "windows")),
    )
    if mixer is not None:
        arrays, tuned = pack.unpack(mixer)
        try:
            built.mixer = MixerConfig(**_tuples(_section(tuned, "mixer")))
            built.mixer_weights = tuple(tuple(three) for three in tuned["weights"])
            built.pieces = pieces.from_arrays(arrays)
            built.mixture()  # these two refuse what fits neither the design nor the model
            built.known_pieces()
        except pack.CorruptBlobError:
            raise
        except (KeyError, TypeError, ValueError) as problem:
            raise pack.CorruptBlobError(
                f"{MIXER} holds no mixer: {problem}; export again"
            ) from None
    return built


def _section(meta: dict[str, Any], name: str) -> dict[str, Any]:
    if meta.get("format") != FORMAT:
        raise pack.CorruptBlobError(
            f"artifact format {meta.get('format')}, not {FORMAT}; export again"
        )
    return meta[name]


def load(folder: Path) -> Artifact:
    """Return the artifact in a folder."""
    return from_bytes((folder / WEIGHTS).read_bytes(), (folder / MIXER).read_bytes())


def native_files() -> dict[str, bytes]:
    """Return what the scorer needs of the package `native`, by the names that the manifest declares.

    The compiled part is empty where none was built: plain Python counts then, with the same answers.
    """
    folder = Path(native.__file__).parent
    files = {f"native/{name}": (folder / name).read_bytes() for name in NATIVE}
    built = sorted(folder.glob("_ngram*.so"))
    return {**files, NATIVE_BUILT: built[0].read_bytes() if built else b""}


def _tuples(section: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in section.items()
    }
