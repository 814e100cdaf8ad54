"""A judge for development: trains and scores a submission, believes it, and prints what it took.

    python -m tests.submission.drive --data FOLDER [--seed 1] [--tokens N] [--env SUBMISSION_MIXER=0]

FOLDER is a data folder as `harness data build` makes it; the embedded corpus is made there if it is missing.
The real one is `harness run`; this prints
what that does not: what `accept` and `predict` cost. Does not check, isolate, seal or time out anything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np

from harness import sdk
from harness.data.dataset import Dataset, open_dataset
from harness.data.embedded import embedded

ROOT = Path(__file__).resolve().parents[2]
CHALLENGES = 256


class Process:
    """A command of a submission at the other end of a socket."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.sock, theirs = socket.socketpair()
        command = [sys.executable if part == "python" else part for part in command]
        paths = {"PYTHONPATH": f"{cwd}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        self.child = subprocess.Popen(
            command, cwd=cwd, stdin=theirs, env={**os.environ, **paths, **env}
        )
        theirs.close()

    def send(self, kind: sdk.Kind, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        head = sdk.header(kind, len(payload))
        if descriptors:
            socket.send_fds(self.sock, [head], descriptors)
        else:
            self.sock.sendall(head)
        if payload:
            self.sock.sendall(payload)

    def answer(self, dtype: np.dtype) -> np.ndarray:
        (size,) = struct.unpack("<Q", self._exactly(sdk.HEADER.size)[8:])
        return np.frombuffer(self._exactly(size), dtype=dtype)

    def ask(self, kind: sdk.Kind, tokens: np.ndarray, dtype: np.dtype) -> np.ndarray:
        self.send(kind, tokens.astype(sdk.TOKEN).tobytes())
        return self.answer(dtype)

    def open(self, **facts: object) -> None:
        self.send(sdk.Kind.OPEN, json.dumps({"protocol": sdk.PROTOCOL, **facts}).encode())

    def close(self) -> tuple[float, float]:
        """Return the process's CPU seconds and its largest resident set in MB."""
        self.send(sdk.Kind.CLOSE)
        self.sock.close()
        _, status, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise SystemExit(f"{self.child.args} went away")
            data += more
        return bytes(data)


def train(manifest: dict, work: Path, data: Dataset, args: argparse.Namespace) -> None:
    process = Process(manifest["train"]["command"], work, manifest["train"].get("env", {}))
    process.open(
        phase="train", vocab_size=data.vocab_size, block_tokens=0, tokens=0, seed=args.seed
    )
    process.answer(sdk.TOKEN)
    shards = [shard.path for shard in data.train.shards]
    files = [*shards, *([data.tokenizer.path] if data.tokenizer else [])]
    facts = {
        "files": [{"name": file.name, "size_bytes": file.stat().st_size} for file in files],
        "shards": len(shards),
        "out": str(work / "out"),
        "train_s": args.train_s,
        "deadline_s": time.monotonic() + args.train_s,
        "cap_bytes": args.cap_bytes,
    }
    started = time.monotonic()
    descriptors = tuple(os.open(file, os.O_RDONLY) for file in files)
    process.send(sdk.Kind.DATA, json.dumps(facts).encode(), descriptors)
    process.child.wait()
    print(f"train {time.monotonic() - started:.1f} s, status {process.child.returncode}")


def score(
    manifest: dict, sealed: Path, tokens: np.ndarray, vocab_size: int, env: dict[str, str]
) -> None:
    command, block = manifest["score"]["command"], manifest["score"]["block_tokens"]
    env = {**manifest["score"].get("env", {}), **env}
    facts = {
        "phase": "score",
        "vocab_size": vocab_size,
        "block_tokens": block,
        "tokens": len(tokens),
    }
    started = time.monotonic()
    process = Process(command, sealed, env)
    process.open(**facts, seed=0)
    process.answer(sdk.TOKEN)
    load_s, started, accept_s, nats = time.monotonic() - started, time.monotonic(), 0.0, []
    for first in range(0, len(tokens), block):
        block_T = tokens[first : first + block]
        nats.append(process.ask(sdk.Kind.SCORE, block_T, sdk.NATS))
        before = time.monotonic()
        process.ask(sdk.Kind.ACCEPT, block_T, sdk.NATS)
        accept_s += time.monotonic() - before
    score_s = time.monotonic() - started
    cpu_s, rss_mb = process.close()
    nats_T = np.concatenate(nats)
    print(
        f"{nats_T.mean():.5f} nats per token over {len(tokens):,} (second half "
        f"{nats_T[len(nats_T) // 2 :].mean():.5f}); load {load_s:.1f} s, score {score_s:.1f} s of which "
        f"accept {accept_s:.2f} s; {cpu_s:.1f} s of CPU in all, {rss_mb:.0f} MB"
    )
    challenge(Process(command, sealed, env), facts, tokens, nats_T, score_s)


def challenge(
    process: Process, facts: dict, tokens: np.ndarray, nats_T: np.ndarray, score_s: float
) -> None:
    process.open(**facts, seed=0)
    process.answer(sdk.TOKEN)
    drawn = np.sort(np.random.default_rng(0).choice(len(tokens), CHALLENGES, replace=False))
    block, gaps, sums, started = facts["block_tokens"], [], [], time.monotonic()
    for first in range(0, len(tokens), block):
        for position in drawn[(drawn >= first) & (drawn < first + block)]:
            row_V = process.ask(sdk.Kind.PREDICT, tokens[first:position], sdk.LOGPROB)
            gaps.append(-row_V[tokens[position]] - nats_T[position])
            sums.append(np.exp(row_V.astype(np.float64)).sum() - 1)
        process.ask(sdk.Kind.ACCEPT, tokens[first : first + block], sdk.NATS)
    wall_s = time.monotonic() - started
    cpu_s, _ = process.close()
    print(
        f"challenge {wall_s:.2f} s for {CHALLENGES} predictions ({wall_s / score_s:.1%} of the pass); "
        f"{cpu_s:.1f} s of CPU in all; "
        f"largest gap {np.abs(gaps).max():.1e}, of a sum {np.abs(sums).max():.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--submission", type=Path, default=ROOT / "submission")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=131_072)
    parser.add_argument("--train-s", type=float, default=120.0)
    parser.add_argument("--cap-bytes", type=int, default=1_000_000)
    parser.add_argument(
        "--env", action="append", default=[], help="of the scorer; runs it once more"
    )
    args = parser.parse_args()
    manifest = tomllib.loads((args.submission / "submission.toml").read_text())
    data = open_dataset(args.data) if args.data.exists() else embedded(args.data)
    with tempfile.TemporaryDirectory() as folder:
        work, sealed = Path(folder, "work"), Path(folder, "sealed")
        shutil.copytree(args.submission, work / manifest["package"])
        (work / "out").mkdir()
        train(manifest, work, data, args)
        (sealed / manifest["package"]).mkdir(parents=True)
        for name in manifest["artifact"]["code"]:
            shutil.copy(args.submission / name, sealed / manifest["package"] / name)
        for name in manifest["artifact"]["output"]:
            (sealed / name).parent.mkdir(exist_ok=True)
            shutil.copy(work / "out" / name, sealed / name)
        total = sum(file.stat().st_size for file in sealed.rglob("*") if file.is_file())
        print(f"artifact {total:,} bytes")
        val = np.fromfile(data.val.shards[0].path, dtype="<u2", offset=1024)
        tokens = val[: args.tokens].astype(np.uint32)
        score(manifest, sealed, tokens, data.vocab_size, {})
        for setting in args.env:
            print(setting)
            score(manifest, sealed, tokens, data.vocab_size, dict([setting.split("=", 1)]))


if __name__ == "__main__":
    main()
