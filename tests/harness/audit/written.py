"""Record folders written to disk as contestants write them: honest ones, and with one thing changed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

SP1024 = 2.43592
TOKENS = 62_021_632
SCORES = {1337: 1.09504815, 42: 1.09454931, 2025: 1.09523334}
"""Bits per byte of three seeds; nats per token follow."""


def loss_of(bpb: float) -> float:
    """Return nats per token of the tokenizer of 1,024 pieces."""
    return bpb * math.log(2) * SP1024


def log_text(seed: int, bpb: float, **changed: Any) -> str:
    """Return one training's log; keywords change what it states."""
    said = {
        "stop_ms": 591_064, "steps": 6659, "total": 15_853_466, "eval_ms": 79_155, "tokens": TOKENS,
        "ranks": 8, "loss": loss_of(bpb), "code": 86_000, "seed": seed,
    } | changed  # fmt: skip
    step_ms = said["stop_ms"] / said["steps"]
    return (
        "Running Python 3.12.3\nRunning PyTorch 2.9.1+cu128\n"
        f"val_loader:shards pattern=./data/val_*.bin tokens:{said['tokens']}\n"
        f"world_size:{said['ranks']} grad_accum_steps:1\nseed:{said['seed']}\n"
        f"step:{said['steps']}/20000 train_loss:2.0 train_time:{said['stop_ms']}ms step_avg:{step_ms:.2f}ms\n"
        f"stopping_early: wallclock_cap train_time:{said['stop_ms']}ms step:{said['steps']}/20000\n"
        f"Code size: {said['code']} bytes\n"
        f"Total submission size int6+brotli: {said['total']} bytes\n"
        f"final_int6_roundtrip_exact val_loss:{said['loss'] + 0.04:.8f} val_bpb:{bpb + 0.0237:.8f}\n"
        f"final_int6_sliding_window val_loss:{said['loss']:.4f} val_bpb:{bpb:.4f} stride:64 "
        f"eval_time:{said['eval_ms']}ms\n"
        f"final_int6_sliding_window_exact val_loss:{said['loss']:.8f} val_bpb:{bpb:.8f}\n"
    )


def claims_of(scores: dict[int, float], **changed: Any) -> dict[str, Any]:
    """Return an honest submission.json; keywords change it, None takes a key away."""
    mean = sum(scores.values()) / len(scores)
    made = {
        "author": "somebody", "github_id": "somebody", "name": "A record", "date": "2026-04-03",
        "track": "10min_16mb", "val_bpb": round(mean, 8), "val_loss": round(loss_of(mean), 6),
        "bytes_total": 15_853_466, "bytes_code": 86_000, "seeds": list(scores),
        "seed_results": {str(seed): {"val_bpb": round(bpb, 8)} for seed, bpb in scores.items()},
        "hardware": "8xH100 80GB SXM",
    } | changed  # fmt: skip
    return {key: value for key, value in made.items() if value is not None}


def write_record(
    folder: Path,
    scores: dict[int, float] = SCORES,
    *,
    claims: dict[str, Any] | None = None,
    logs: dict[int, dict[str, Any]] | None = None,
) -> Path:
    """Write a record; `claims` changes submission.json, `logs` the log of a seed."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(claims_of(scores, **(claims or {})), indent=2)
    (folder / "submission.json").write_text(text)
    (folder / "train_gpt.py").write_text("# trains\n".ljust(86_000, "#"))
    for seed, bpb in scores.items():
        (folder / f"train_seed{seed}.log").write_text(
            log_text(seed, bpb, **(logs or {}).get(seed, {}))
        )
    return folder
