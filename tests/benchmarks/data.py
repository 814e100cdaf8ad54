"""What data costs, and what the embedded corpus holds: `python -m tests.benchmarks.data [--json]`.

Generating, building, opening and counting the embedded data set, with its digests (pin those after a
change of the corpus). `--text PATH [--vocab N | --tokenizer FILE] [--val-text PATH]` also builds from that
text, in a process of its own, and says its seconds and its largest memory.

`--recurrence` measures what an online model could gain on the embedded validation text: a static n-gram model
of the train text, with and without the token that followed the last occurrence of the latest five tokens. The
occurrence is looked for nearer than 256 tokens, or only further away. Takes about a minute and 2 GB.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from harness.data.dataset import Dataset, open_dataset
from harness.data.embedded import build_embedded
from harness.data.recount import count_text
from harness.data.synthetic import Lexicon, documents
from harness.machine import describe

Result = TypeVar("Result")
ORDER = 5
WINDOW = 256


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work()
    return round(time.perf_counter() - start, 3), result


def embedded_facts(folder: Path) -> tuple[dict[str, Any], Dataset]:
    generate_s, _ = timed(
        lambda: [sum(map(len, documents(Lexicon(), s))) for s in ("train", "val")]
    )
    build_s, _ = timed(lambda: build_embedded(folder))
    open_s, dataset = timed(lambda: open_dataset(folder))
    count_s, text = timed(lambda: count_text(dataset))
    lengths = _lengths(dataset)
    return {
        "embedded_generate_s": generate_s,
        "embedded_build_s": build_s,
        "embedded_open_s": open_s,
        "embedded_count_s": count_s,
        "embedded_train_tokens": dataset.train.tokens,
        "embedded_train_bytes": dataset.train.text_bytes,
        "embedded_val_tokens": dataset.val.tokens,
        "embedded_val_bytes": text.text_bytes,
        "embedded_val_documents": text.documents,
        "embedded_val_document_tokens": f"{lengths[0]} / {lengths[len(lengths) // 2]} / {lengths[-1]}",
        "embedded_val_bytes_per_token": round(text.text_bytes / dataset.val.tokens, 4),
        "digests": {name: sha256 for name, sha256 in dataset.digests.items() if name != "dataset"},
    }, dataset


def _lengths(dataset: Dataset) -> list[int]:
    """Shortest first; printed as least / median / most."""
    lengths: list[int] = []
    for token in dataset.val.load_tokens().tolist():
        if token == dataset.bos_id:
            lengths.append(0)
        else:
            lengths[-1] += 1
    return sorted(lengths)


def build_facts(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", "from harness.commands.data import data; data()", "build"]
    command += ["--text", arguments.text, "--out", str(folder)]
    if arguments.tokenizer:
        command += ["--tokenizer", arguments.tokenizer]
    else:
        command += ["--vocab", str(arguments.vocab)]
    if arguments.val_text:
        command += ["--val-text", arguments.val_text]
    build_s, _ = timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    rss_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    open_s, dataset = timed(lambda: open_dataset(folder))
    count_s, text = timed(lambda: count_text(dataset))
    train_bytes = dataset.train.text_bytes or 0
    return {
        "build_s": build_s,
        "build_rss_mb": round(rss_mb, 1),
        "build_mb_per_s": round((train_bytes + text.text_bytes) / build_s / 1e6, 2),
        "build_open_s": open_s,
        "build_count_s": count_s,
        "build_train_tokens": dataset.train.tokens,
        "build_val_tokens": dataset.val.tokens,
        "build_val_bytes_per_token": round(text.text_bytes / dataset.val.tokens, 4),
        "build_differing_documents": text.differing_documents,
    }


def recurrence_facts(dataset: Dataset) -> dict[str, float]:
    stream: list[int] = dataset.val.load_tokens().tolist()
    static = _static(dataset.train.load_tokens().tolist(), stream, dataset.vocab_size)
    alone = -sum(map(math.log, static)) / len(stream)
    near = _with_match(static, stream, 1, WINDOW)
    far = _with_match(static, stream, WINDOW + 1, len(stream))
    any_distance = _with_match(static, stream, 1, len(stream))
    return {
        "static_nats_per_token": round(alone, 4),
        "gain_within_window_nats": round(alone - near, 4),
        "gain_beyond_window_nats": round(alone - far, 4),
        "gain_any_distance_nats": round(alone - any_distance, 4),
    }


def _contexts(stream: list[int], at: int) -> list[tuple[int, ...]]:
    return [tuple(stream[at - n : at]) for n in range(min(ORDER, at + 1))]


def _static(train: list[int], stream: list[int], vocab_size: int) -> list[float]:
    """Probability of each token by interpolation over contexts of 0..4 tokens (Witten and Bell 1991)."""
    pairs: Counter[tuple[int, ...]] = Counter()
    totals: Counter[tuple[int, ...]] = Counter()
    kinds: Counter[tuple[int, ...]] = Counter()
    for at, token in enumerate(train):
        for context in _contexts(train, at):
            pair = (*context, token)
            kinds[context] += pair not in pairs
            pairs[pair] += 1
            totals[context] += 1
    result = []
    for at, token in enumerate(stream):
        p = 1 / vocab_size
        for context in _contexts(stream, at):
            if total := totals.get(context, 0):
                weight = kinds[context]
                p = (pairs.get((*context, token), 0) + weight * p) / (total + weight)
        result.append(p)
    return result


def _with_match(static: list[float], stream: list[int], nearest: int, furthest: int) -> float:
    """Nats per token when what followed the last occurrence gets as much as it has earned so far."""
    followed: dict[tuple[int, ...], int] = {}
    earned: dict[int, tuple[int, int]] = {}
    nats = 0.0
    for at, token in enumerate(stream):
        if (seen := at - nearest) >= ORDER:
            followed[tuple(stream[seen - ORDER : seen])] = seen
        match = followed.get(tuple(stream[at - ORDER : at]) if at >= ORDER else (), -1)
        p = static[at]
        if match >= 0 and at - match <= furthest:
            length = ORDER
            while (
                length < 24
                and match > length
                and stream[match - length - 1] == stream[at - length - 1]
            ):
                length += 1
            right, asked = earned.get(length, (1, 2))
            share = 0.98 * right / asked
            p = (1 - share) * p + share * (stream[match] == token)
            earned[length] = (right + (stream[match] == token), asked + 1)
        nats -= math.log(p)
    return nats / len(stream)


def main() -> None:
    parser = argparse.ArgumentParser(description="What data costs.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--recurrence", action="store_true")
    parser.add_argument("--text")
    parser.add_argument("--val-text")
    parser.add_argument("--vocab", type=int, default=1024)
    parser.add_argument("--tokenizer")
    arguments = parser.parse_args()
    machine = describe()
    facts: dict[str, Any] = {"machine": f"{machine.cores} cores, {machine.cpu}"}
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.text:
            facts |= build_facts(arguments, Path(temporary) / "built")
        embedded, dataset = embedded_facts(Path(temporary) / "embedded")
        facts |= embedded
        if arguments.recurrence:
            facts |= recurrence_facts(dataset)
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            print(name, *(f"  {inner:<26} {entry}" for inner, entry in value.items()), sep="\n")
        else:
            print(f"{name:<30} {value}")


if __name__ == "__main__":
    main()
