"""The trainer: learn from what the judge hands over, export before its deadline.

    python -m submission.train          started by the judge in a copy of the submission's folder

SUBMISSION_PRESET in the environment (the manifest's [train].env) names the size; "smoke" without it.
What it prints is for people. Nothing but the seed decides the order of the data and the first weights; on a
machine that is fast enough the clock decides nothing at all.

Does not resume, average weights or use more than one process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from harness import sdk
from submission import artifact, quantise
from submission.artifact import Artifact
from submission.data import Tokens, Windows, batches, hold_out
from submission.mixer import NEUTRAL, NO_HINT, fit_weights
from submission.model import GPT
from submission.optimiser import AdamW, Muon
from submission.presets import PRESETS, Preset
from submission.score import Scorer

BANKS = ("qo", "kv", "up", "down")
TABLES = frozenset({"embedding", "bigram_table", "value_table"})
CALIBRATION_BLOCK = 1024


@dataclass(slots=True)
class Progress:
    """What `fit` did."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    """Mean nats of each batch before its step."""


def build(preset: Preset, vocab_size: int, seed: int) -> GPT:
    """Return a model with the starting weights of this seed."""
    torch.manual_seed(seed)
    model = GPT(replace(preset.model, vocab_size=vocab_size))
    model.reset()
    return model


def optimisers(model: GPT, preset: Preset) -> tuple[Muon, AdamW]:
    """Return Muon over the banks, with each layer's own rate, and AdamW over the rest."""
    config = preset.optimiser
    layers = model.config.layers
    early, late = config.muon_rate_early, config.muon_rate_late
    by_layer = [early if layer < layers // 2 else late for layer in range(layers)]
    parameters = dict(model.named_parameters())
    banks = [parameters.pop(name) for name in BANKS]
    muon = Muon(banks, [by_layer * (bank.shape[0] // layers) for bank in banks], config)
    rates = [config.table_rate if name in TABLES else config.other_rate for name in parameters]
    return muon, AdamW(list(parameters.values()), rates, config)


def fit(
    model: GPT,
    windows: Windows,
    preset: Preset,
    *,
    seed: int,
    deadline_s: float,
    now: Callable[[], float] = time.monotonic,
    log: Callable[[str], None] = print,
) -> Progress:
    """Train until the schedule's last step, or until `reserve_s` before the deadline, warmed down either way.

    `deadline_s` is an instant on the clock `now`.
    """
    muon, adamw = optimisers(model, preset)
    parameters = list(model.parameters())
    progress = Progress()
    started_s = now()
    model.train()
    for batch_BT in batches(windows, preset.batch_windows, seed):
        here_s = now()
        remaining_s = deadline_s - preset.reserve_s - here_s
        left = preset.schedule.remaining(progress.steps, here_s - started_s, remaining_s)
        if left < 1.0:
            break
        tokens_BT = torch.from_numpy(batch_BT)
        loss = model.loss(tokens_BT[:, :-1], tokens_BT[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, preset.clip)
        factor = preset.schedule.factor(left)
        muon.step(factor)
        adamw.step(factor)
        model.zero_grad(set_to_none=True)
        progress.losses.append(float(loss.detach()))
        if progress.steps % 50 == 0:
            log(f"step {progress.steps}: {progress.losses[-1]:.4f} nats, {now() - started_s:.1f} s")
        progress.steps += 1
    log(f"trained {progress.steps} of {preset.schedule.steps} steps in {now() - started_s:.1f} s")
    return progress


def tune_mixer(
    built: Artifact,
    held_out: Tokens,
    *,
    until_s: float,
    now: Callable[[], float] = time.monotonic,
) -> tuple[float, ...]:
    """Return mixing weights fitted on held-out train tokens, as far as time allows.

    The held-out text plays the stream: hints and rates are those that a scorer would have had. Without
    time or hints the weights are NEUTRAL.
    """
    scorer = Scorer(built, tokens=len(held_out))
    seen = []
    for first in range(0, len(held_out), CALIBRATION_BLOCK):
        if now() >= until_s:
            break
        block_T = held_out[first : first + CALIBRATION_BLOCK]
        hints, log_q_T = scorer.evidence(block_T)
        scorer.accept(block_T)
        given_T = hints.token_T != NO_HINT
        right_T = (hints.token_T == block_T)[given_T]
        seen.append((np.exp(log_q_T[given_T]), hints.rate_T[given_T], right_T))
    if not seen:
        return NEUTRAL
    q_T, rate_T, right_T = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    return fit_weights(q_T, rate_T, right_T)


def export(model: GPT, preset: Preset) -> Artifact:
    """Return the quantised model, with a mixer that does nothing yet."""
    state = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    stored = quantise.quantise_state(
        state, bits=preset.bits, table_bits=preset.table_bits, smallest=preset.smallest
    )
    return Artifact(
        stored=stored,
        model=model.config,
        windows=preset.windows,
        mixer=preset.mixer,
        mixer_weights=NEUTRAL,
    )


def run(training: sdk.Training, model: GPT, preset: Preset) -> None:
    """Train, tune the mixer and write the artifact."""
    shards, held_out = hold_out(
        [shard.tokens() for shard in training.shards], preset.held_out_tokens
    )
    windows = Windows(shards, preset.windows.length)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(windows)} windows")
    fit(model, windows, preset, seed=training.seed, deadline_s=training.deadline_s)
    started_s = time.monotonic()
    built = export(model, preset)
    until_s = training.deadline_s - 0.5 * preset.reserve_s
    built.mixer_weights = tune_mixer(built, held_out, until_s=until_s)
    tuned_s = time.monotonic()
    blob = built.to_bytes()
    (training.out / artifact.FILE_NAME).write_bytes(blob)
    print(
        f"mixer weights {', '.join(f'{weight:.3f}' for weight in built.mixer_weights)} in "
        f"{tuned_s - started_s:.1f} s; packed {len(blob):,} bytes in {time.monotonic() - tuned_s:.1f} s; "
        f"{training.deadline_s - time.monotonic():.1f} s to spare"
    )


def main() -> None:
    """Prepare what needs no data, ask for it, and run."""
    connection = sdk.connect()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    preset = PRESETS[os.environ.get("SUBMISSION_PRESET", "smoke")]
    model = build(preset, connection.opening.vocab_size, connection.opening.seed)
    run(connection.ready(), model, preset)


if __name__ == "__main__":
    main()
