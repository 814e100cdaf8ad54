"""The smallest whole system: a model with random weights that still has every part."""

from dataclasses import replace

import numpy as np
import torch

from submission.artifact import Artifact, from_bytes
from submission.experts import MixerConfig
from submission.export import Exporter, QuantiseConfig
from submission.hessians import collect
from submission.mixer import CONTINUES, CONTROL, STARTS
from submission.model import GPT, ModelConfig
from submission.parallel import World
from submission.pieces import Pieces
from submission.presets import SMOKE, CalibrationConfig
from submission.schedule import Schedule
from submission.windows import WindowConfig

VOCAB = 40

MODEL = ModelConfig(
    vocab_size=VOCAB,
    layers=5,
    width=16,
    query_heads=4,
    kv_heads=2,
    mlp_width=24,
    max_length=16,
    rotary_dims=4,
    bigram_rows=31,
    bigram_width=4,
    value_width=4,
    value_layers=2,
)

CONTEXTS = ("token:3", "token:2", "token:1", "within:1", "within:0", "word:2", "word:1")

PRESET = replace(
    SMOKE,
    model=MODEL,
    schedule=Schedule(steps=3, warmdown=0.7),
    windows=WindowConfig(length=16, stride=4, batch_windows=3),
    mixer=MixerConfig(contexts=CONTEXTS),
    batch_windows=2,
    micro_windows=2,
    quantise=QuantiseConfig(smallest=64, smallest_step=1e-3),
    calibration=CalibrationConfig(batches=2, batch_windows=4),
    held_out_tokens=200,
    reserve_s=0.0,
)


def pieces() -> Pieces:
    """Return two control tokens, then by turns a word start and two continuations; two are punctuation."""
    class_V = np.array(
        [CONTROL, CONTROL, *(STARTS if n % 3 == 2 else CONTINUES for n in range(2, VOCAB))]
    )
    texts = [b"", b"", *(bytes([97 + n % 26]) * (1 + n // 26) for n in range(2, VOCAB))]
    texts[4], texts[6] = b".", b","
    return Pieces(tuple(texts), class_V.astype(np.uint8))


PIECES = pieces()
WEIGHTS = ((0.5, 0.4, 0.9), (0.3, 0.7, 0.5), (-0.2, 0.8, 0.6))
"""Of L6: three for each expert, none of them such that it would change nothing."""


def random_model(seed: int = 0) -> GPT:
    """Return a model with no weight at 0, so that every part has its say."""
    torch.manual_seed(seed)
    model = GPT(MODEL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.5)
    return model


def exporter(model: GPT, preset=PRESET) -> Exporter:
    """Return one whose Hessians come from random tokens."""
    ids_BT = torch.randint(0, VOCAB, (8, 16), generator=torch.Generator().manual_seed(0))
    hessians = collect(model, [ids_BT], World(device=torch.device("cpu")))
    return Exporter(model, hessians, preset.quantise, preset.windows)


def random_artifact(mixer: MixerConfig = PRESET.mixer) -> Artifact:
    built = from_bytes(exporter(random_model()).make(1e-3))
    built.mixer, built.mixer_weights, built.pieces = mixer, WEIGHTS, PIECES
    return built


def of_design(design: str, contexts: tuple[str, ...] = CONTEXTS) -> Artifact:
    """Return the random artifact whose experts are mixed in by this design."""
    return random_artifact(MixerConfig(design=design, contexts=contexts))
