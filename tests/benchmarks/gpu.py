"""What the reference submission costs on a GPU, piece by piece, on random tokens of the contest's shapes.

    python -m tests.benchmarks.gpu [--part attention|train|export|score] [--kernel sdpa] [--json FILE]

Without --part all parts run. Each prints a table; every figure is a median of repeats in this one run. Needs
a GPU: on a CPU it says so and ends with status 2. Does not train anything worth having, and judges
nothing: the judged run is tests/benchmarks/judged_gpu.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from submission import artifact, attention
from submission.export import Exporter
from submission.fit import Learner
from submission.hessians import collect
from submission.loader import Loader
from submission.model import GPT, ModelConfig
from submission.parallel import World
from submission.pieces import Pieces
from submission.presets import PRESETS
from submission.score import Scorer, ready_windows

Table = dict[str, object]
VOCAB = 1024
BLOCK = 131_072


def operations(config: ModelConfig, length: int, *, training: bool = True) -> dict[str, float]:
    """Return floating-point operations a token: products with matrices, and causal attention.

    A product of n weights is 2 n, its two gradients 4 n more; causal attention over `length` positions is
    2 * 2 * width * length / 2 forward, and 2.5 times that backward.
    """
    kv = config.kv_heads * config.head_size
    a_layer = 2 * config.width**2 + 2 * kv * config.width + 2 * config.mlp_width * config.width
    weights = config.layers * a_layer + config.vocab_size * config.width
    weights += config.bigram_width * config.width + config.value_width * kv
    attended = 2.0 * config.width * length * config.layers
    return {
        "matrices": (6.0 if training else 2.0) * weights,
        "attention": (3.5 if training else 1.0) * attended,
    }


def timed_ms(action: Callable[[], object], repeats: int) -> float:
    """Return the median time of `action` on the GPU, in ms, after one run that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        action()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def ceilings() -> Table:
    """Measure what this card gives: a large bfloat16 product, and a copy in its memory."""
    a, b = torch.randn(2, 8192, 8192, device="cuda", dtype=torch.bfloat16)
    product_ms = timed_ms(lambda: a @ b, 20)
    source = torch.randn(1 << 28, device="cuda")
    target = torch.empty_like(source)
    copy_ms = timed_ms(lambda: target.copy_(source), 20)
    return {
        "bf16 product 8192^3, TFLOP/s": 2 * 8192**3 / product_ms / 1e9,
        "copy of 1 GiB, read and write, TB/s": 2 * source.nbytes / copy_ms / 1e9,
    }


def attention_part(_: argparse.Namespace, __: attention.Choice) -> Table:
    """Compare every kernel that is here with float32 mathematics, and time it."""
    device = torch.device("cuda")
    shape = (24, 2048)
    q = torch.randn(*shape, 8, 64, device=device, dtype=torch.bfloat16)
    k, v = torch.randn(2, *shape, 4, 64, device=device, dtype=torch.bfloat16)
    slope = torch.randn_like(q)
    work = 3.5 * 2.0 * 512 * 2048 * shape[0] * shape[1]
    table: Table = {}
    for name in ("sdpa", "flash4", "flash3", "flash"):
        choice = attention.choose(name, device)
        if choice.name != name:
            table[name] = choice.reason
            continue
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]

        def both(leaves=leaves, attend=choice.attend):
            y = attend(*leaves)
            torch.autograd.grad(y, leaves, slope)

        with attention.preferring(name):
            error = attention.relative_error(choice.attend, device, length=2048)
            rate = work / timed_ms(both, 20) / 1e9
        table[name] = f"error {error:.2e}; {rate:.0f} TFLOP/s forward and backward"
    return table


def train_part(options: argparse.Namespace, choice: attention.Choice) -> Table:
    """Measure the training step of the whole model, and what its time goes into."""
    world = World(device=torch.device("cuda"))
    preset = replace(PRESETS["h100"], batch_windows=options.windows, micro_windows=options.micro)
    started = time.monotonic()
    learner = Learner(preset, world, vocab_size=VOCAB, seed=1, attend=choice.attend)
    length = preset.windows.length
    generator = torch.Generator().manual_seed(1)
    tokens_BT = torch.randint(0, VOCAB, (preset.batch_windows, length + 1), generator=generator)
    tokens_BT = tokens_BT.cuda()

    def step() -> None:
        learner.step(tokens_BT, 1.0)
        learner.catch_up(behind=1)

    for _ in range(3):
        step()
    learner.catch_up()
    compiled_s = time.monotonic() - started
    torch.cuda.reset_peak_memory_stats()
    step_ms = statistics.median(_step_times_ms(learner, tokens_BT, options.repeats))
    count = preset.batch_windows * length
    per_token = operations(learner.model.config, length)
    table: Table = {
        "kernel": choice.reason,
        "windows a step, a pass": f"{preset.batch_windows}, {preset.micro_windows}",
        "compiled in, s": compiled_s,
        "step, ms": step_ms,
        "tokens/s": count / step_ms * 1e3,
        "peak memory, GB": torch.cuda.max_memory_allocated() / 1e9,
        "operations a token, MFLOP": " + ".join(f"{n / 1e6:.1f} {k}" for k, n in per_token.items()),
        "model TFLOP/s": sum(per_token.values()) * count / step_ms / 1e9,
    }
    table["loader, ms a batch, in a thread of its own"] = _loader_ms(preset.batch_windows, length)
    return {**table, **_shares(step, learner, step_ms, options.kernels)}


def _loader_ms(batch_windows: int, length: int) -> float:
    """Return the median time in which a batch is put together from a shard of 20 million tokens."""
    shard = np.random.default_rng(1).integers(0, VOCAB, 20_000_000, dtype=np.uint16)
    times = []
    with Loader(
        [shard], length=length, batch_windows=batch_windows, seed=1, ahead=0, pin=True
    ) as batches:
        for _ in range(20):
            before = time.monotonic()
            next(batches)
            times.append((time.monotonic() - before) * 1e3)
    return statistics.median(times)


def _step_times_ms(learner: Learner, tokens_BT: torch.Tensor, repeats: int) -> list[float]:
    times, before = [], time.monotonic()
    for _ in range(repeats):
        learner.step(tokens_BT, 1.0)
        learner.catch_up(behind=1)
        here = time.monotonic()
        times.append((here - before) * 1e3)
        before = here
    learner.catch_up()
    return times


KINDS = (
    ("attention", ("flash", "fmha", "sdpa", "cudnn", "kernel_cutlass_flash", "bprop", "fprop")),
    ("matrices", ("gemm", "cutlass", "nvjet", "xmma", "splitk")),
    ("fused elementwise", ("triton",)),
)


def _shares(step: Callable[[], None], learner: Learner, step_ms: float, shown: int) -> Table:
    """Sum kernel times of two steps by kind; the optimiser's are those that run inside its call."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as seen:
        for _ in range(2):
            step()
        learner.catch_up()
    sums: dict[str, float] = {}
    names: dict[str, float] = {}
    for event in seen.events():
        if event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        kind = next(
            (kind for kind, parts in KINDS if any(part in event.name.lower() for part in parts)),
            "other kernels",
        )
        ms = event.self_device_time_total / 2e3
        sums[kind] = sums.get(kind, 0.0) + ms
        names[event.name] = names.get(event.name, 0.0) + ms
    table: Table = {
        f"{kind}, ms": f"{ms:.2f} ({ms / step_ms:.1%})"
        for kind, ms in sorted(sums.items(), key=lambda pair: -pair[1])
    }
    for parameter in learner.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    ms = timed_ms(lambda: learner._optimiser.step(1.0), 10)
    table["of which optimiser and clipping, ms"] = f"{ms:.2f} ({ms / step_ms:.1%})"
    if learner.average is not None:
        ms = timed_ms(learner.average.update, 10)
        table["of which average, ms"] = f"{ms:.2f} ({ms / step_ms:.1%})"
    for name, ms in sorted(names.items(), key=lambda pair: -pair[1])[:shown]:
        table[f"  {name[:90]}"] = f"{ms:.2f}"
    return table


def export_part(options: argparse.Namespace, _: attention.Choice) -> Table:
    """Time Hessians, GPTQ and packing of random weights of about a trained model's spread."""
    world = World(device=torch.device("cuda"))
    preset = PRESETS["h100"]
    learner = Learner(replace(preset, compile=False), world, vocab_size=VOCAB, seed=1)
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.normal_(0.0, 0.16)
    rows, length = preset.calibration.batch_windows, preset.windows.length
    batches = [torch.randint(0, VOCAB, (rows, length)) for _ in range(preset.calibration.batches)]
    times: dict[str, list[float]] = {"Hessians, s": [], "GPTQ and packing, s": [], "packing, s": []}
    blob = b""
    for _ in range(options.exports + 1):
        at = [time.monotonic()]
        with learner.unrounded() as model:
            hessians = collect(model, batches, world)
        torch.cuda.synchronize()
        at.append(time.monotonic())
        exporter = Exporter(learner.model, hessians, preset.quantise, preset.windows)
        blob = exporter.make(1 / 31)
        at.append(time.monotonic())
        artifact.from_bytes(blob).to_bytes()
        at.append(time.monotonic())
        for key, begin, end in zip(times, at, at[1:], strict=False):
            times[key].append(end - begin)
    table: Table = {key: statistics.median(values[1:]) for key, values in times.items()}
    cost = exporter.costs[1 / 31]
    table["calibration tokens"] = rows * length * len(batches)
    table["bytes"] = len(blob)
    table["estimated bytes"] = exporter.estimate(1 / 31)
    table["loss over loss to nearest"] = cost.loss / cost.nearest_loss
    return table


def score_part(options: argparse.Namespace, choice: attention.Choice) -> Table:
    """Time the sliding scorer, and compare what `score` credits with what `predict` says."""
    preset = PRESETS["h100"]
    torch.manual_seed(2)
    model = GPT(preset.model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.03)
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    from submission.quantise import quantise_state

    stored = quantise_state(state, bits=6, smallest=65_537)
    built = artifact.Artifact(stored=stored, model=preset.model, windows=preset.windows)
    built.mixer = preset.mixer
    class_V = np.repeat([0, 1, 2], [4, 556, 464]).astype(np.uint8)
    built.pieces = Pieces(tuple(b"%d" % token for token in range(VOCAB)), class_V)
    before = time.monotonic()
    windows = ready_windows(built, [torch.device("cuda")], choice)
    load_s = time.monotonic() - before
    rng = np.random.default_rng(0)
    # Few different tokens, so that contexts come back and there are hints to mix in.
    stream_T = (rng.integers(0, VOCAB, 5 * BLOCK) // 64 * 64).astype(np.uint32)
    with_s, without_s, counting_s = [], [], []
    sizes = {"tokens": len(stream_T), "block_tokens": BLOCK, "windows": windows}
    scorer, bare = Scorer(built, **sizes), Scorer(built, mixer=False, **sizes)
    for at in range(0, 4 * BLOCK, BLOCK):
        block_T = stream_T[at : at + BLOCK]
        for one, times in ((scorer, with_s), (bare, without_s)):
            before = time.monotonic()
            one.score(block_T)
            times.append(time.monotonic() - before)
        before = time.monotonic()
        scorer.accept(block_T)
        counting_s.append(time.monotonic() - before)
        bare.accept(block_T)
    block_T = stream_T[4 * BLOCK :]
    nats_T = scorer.score(block_T)
    # The first block warms up.
    score_s = statistics.median(with_s[1:])
    gaps, times = [], []
    for at in range(0, BLOCK, 4099):
        before = time.monotonic()
        row_V = scorer.predict(block_T[:at])
        times.append(time.monotonic() - before)
        gaps.append(-row_V[block_T[at]] - nats_T[at])
    return {
        "load with compilation, s": load_s,
        "block of 131,072 tokens, s": score_s,
        "scored tokens/s at stride 64": BLOCK / score_s,
        "model tokens/s": BLOCK / 64 * 2048 / score_s,
        "the same without the mixer, s": statistics.median(without_s[1:]),
        "mixer over the model's passes": score_s / statistics.median(without_s[1:]) - 1.0,
        "accept of a scored block, ms": statistics.median(counting_s[1:]) * 1e3,
        "one prediction, ms": statistics.median(times) * 1e3,
        "largest gap of predict and score, nats": float(np.abs(gaps).max()),
        "positions that agree to the last bit": f"{np.sum(np.array(gaps) == 0)} of {len(gaps)}",
    }


PARTS = {
    "attention": attention_part,
    "train": train_part,
    "export": export_part,
    "score": score_part,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--micro", type=int, default=64)
    parser.add_argument("--kernel", choices=attention.NAMES, default="sdpa")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--kernels", type=int, default=12, help="slowest kernels to name")
    parser.add_argument("--exports", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: these figures need one")
        return 2
    torch.backends.cuda.matmul.allow_tf32 = True
    tables: dict[str, Table] = {
        "machine": {"GPU": torch.cuda.get_device_name(), "torch": torch.__version__, **ceilings()}
    }
    _print("machine", tables["machine"])
    for part in options.part or PARTS:
        chosen = attention.choose(options.kernel, torch.device("cuda"))
        with attention.preferring(chosen.name):
            tables[part] = PARTS[part](options, chosen)
        _print(part, tables[part])
        torch._dynamo.reset()
        torch.cuda.empty_cache()
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2, default=str))
    return 0


def _print(title: str, table: Table) -> None:
    print(title)
    for key, value in table.items():
        shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
        print(f"  {key:<44} {shown}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
