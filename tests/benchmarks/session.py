"""What a session costs: frames, checks and disk with a scorer that does nothing, and the challenges' share.

`python -m tests.benchmarks.session [--tokens N] [--block N] [--repeats N] [--no-reference] [--live] [--json]`

1. The null session: a real process in a real cell answers a constant; the judge checks every answer and
   writes the nats to disk. tokens_per_s is the median over repeats; rss_mb is the judge's largest anonymous
   memory, rss_growth_mb what it grew by between a tenth of the stream and its end. With --live each second
   repeat is watched by the live view, on standard error, and live_tokens_per_s is the median of those.
2. The challenge pass of the reference submission, trained at `smoke` size: its wall time over the credited
   pass's, loading excluded in both. challenge_overhead is for 256 blind questions and the replay of the whole
   stream, challenge_all_overhead for all questions of the ruleset.
3. By arithmetic: what 1,000 blind challenges cost over 62,021,632 tokens on one GPU. The parts are measured
   here: a lone forward pass of 2,048 tokens through a model of the contest's size, the frames, and the
   submission's own `accept` at the contest's table size, in blocks of 131,072.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness import machine, ruleset
from harness.clock import Deadline, Stopwatch
from harness.commands.show import listener
from harness.commands.watched import Facts
from harness.conduct import conduct, context_of, isolate
from harness.data.dataset import Dataset
from harness.data.embedded import embedded
from harness.launch import Listener, Quiet
from harness.run import Run
from harness.sdk import PROTOCOL, Kind
from harness.seal import remove
from harness.session import Channel, ScorerSession, credited_pass
from tests.benchmarks.in_cell import python, sandbox
from tests.benchmarks.tables import show

CONTEST_TOKENS = 62_021_632
ROOT = Path(__file__).resolve().parents[2]
PASSED = {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)}
VOCAB = 1024


def null_session(
    tokens: int, block_tokens: int, folder: Path, watching: Listener
) -> dict[str, float]:
    """Score `tokens` random tokens with the null scorer; return seconds and memory."""
    stream = folder / "stream.bin"
    if not stream.exists():
        rng = np.random.default_rng(1)
        with stream.open("wb") as file:
            for at in range(0, tokens, 1 << 22):
                part = rng.integers(0, VOCAB, min(1 << 22, tokens - at), dtype=np.uint16)
                file.write(part.tobytes())
    stream_N = np.memmap(stream, dtype=np.uint16, mode="r")
    int(stream_N.max())  # in the page cache, as a data set that was just verified is
    opening = {
        "protocol": PROTOCOL,
        "phase": "score",
        "vocab_size": VOCAB,
        "block_tokens": block_tokens,
        "tokens": tokens,
        "seed": 0,
    }
    own = folder / "cell"
    remove(own)
    own.mkdir()
    script = shutil.copy(Path(__file__).with_name("null_scorer.py"), own)
    memory: list[float] = []
    early: list[float] = []

    def progress(done: int, nats: float) -> None:
        watching.progress(done, tokens, nats_per_token=nats / block_tokens)
        if (done // block_tokens) % 64 == 0 or done == tokens:
            memory.append(_anonymous_mb())
            if done >= tokens // 10 and not early:
                early.append(memory[-1])

    with (
        python(*sandbox("smoke"), [str(script)], own, folder / "null") as (_, ours),
        (folder / "nats.f64").open("wb") as sink,
    ):
        channel = Channel(ours)
        channel.deadline = Deadline(600.0)
        channel.send_json(Kind.OPEN, opening)
        channel.receive(Kind.READY, memoryview(b""))
        session = ScorerSession(channel, vocab_size=VOCAB, block_tokens=block_tokens)
        watching.phase(1, "score", 600.0)
        watch = Stopwatch()
        credited = credited_pass(session, stream_N, block_tokens, sink, progress)
        sink.flush()
        wall_s = watch.elapsed_s
    assert credited.credited_tokens == tokens, credited
    return {
        "wall_s": wall_s,
        "rss_mb": max(memory),
        "rss_growth_mb": memory[-1] - (early[0] if early else memory[0]),
    }


def reference_challenge(folder: Path) -> dict[str, Any]:
    """Train, score and challenge the reference submission twice: all questions, and blind ones alone."""
    rules = ruleset.load("smoke")
    data = embedded(folder / "data")
    whole = _judged(rules, data, folder)
    counts = {"future": 0, "target": 0, "target_whole": 0, "repeat": 0}
    asked = msgspec.structs.replace(rules.ruleset.challenge, **counts, max_rounds=1)
    blind = _challenged_again(whole, asked)
    evidence = whole.evidence(1)
    assert evidence.scored is not None
    assert evidence.examined is not None
    score_s = evidence.scored.score.wall_s
    tokens = data.val.tokens
    return {
        "train_s": evidence.trained.train.wall_s if evidence.trained else None,
        "score_s": score_s,
        "tokens": tokens,
        "replay_alone_s": _challenged_again(whole, msgspec.structs.replace(asked, blind=0)),
        "challenge_blind": asked.blind,
        "challenge_blind_s": blind,
        "challenge_overhead": blind / score_s,
        "challenge_all_s": evidence.examined.time.wall_s,
        "challenge_all_overhead": evidence.examined.time.wall_s / score_s,
    }


def _judged(rules: ruleset.Loaded, data: Dataset, folder: Path) -> Run:
    run = Run.create(
        root=folder / "runs",
        submission=ROOT / "submission",
        rules=rules,
        data=data,
        seeds=(1,),
        baseline_text=None,
    )
    conduct(run, Quiet(), PASSED)
    return run


def _challenged_again(run: Run, counts: ruleset.Challenges) -> float:
    """Return the seconds of one more challenge pass of a finished run, with other counts."""
    from harness.examine import examine

    subject = run.subject(1)
    context = context_of(run, Quiet(), PASSED, isolate(run, "namespaces", PASSED))
    changed = msgspec.structs.replace(run.ruleset, challenge=counts)
    place = run.seed_folder(1)
    examined = examine(
        context,
        changed,
        seed=1,
        sealed=place / "sealed",
        work=place / "work",
        logs=place / "logs" / "again",
        subject=subject,
    )
    assert examined.challenge is not None
    assert examined.challenge.breach is None, examined.challenge.breach
    return examined.time.wall_s


def accept_per_s(tokens: int = 8 << 20, block_tokens: int = 131_072) -> float:
    """Return the tokens a second that the contest-sized mixer accepts unscored, on a Zipfian stream."""
    from submission.experts import Experts
    from submission.pieces import Pieces
    from submission.presets import RECORD

    weight_V = 1.0 / np.arange(1, VOCAB + 1)
    rng = np.random.default_rng(2)
    stream_T = rng.choice(VOCAB, tokens, p=weight_V / weight_V.sum()).astype(np.uint16)
    class_V = rng.permutation(np.repeat([1, 2], VOCAB // 2)).astype(np.uint8)
    pieces = Pieces(tuple(b"%d" % token for token in range(VOCAB)), class_V)
    experts = Experts(RECORD.mixer, pieces, tokens=CONTEST_TOKENS, block_tokens=block_tokens)
    watch = Stopwatch()
    for first in range(0, tokens, block_tokens):
        experts.accept(stream_T[first : first + block_tokens])
    return tokens / watch.elapsed_s


def lone_forward_s(repeats: int = 20) -> tuple[float, str]:
    """Return the seconds of one pass of 2,048 tokens at the contest's size, and the device."""
    import torch

    from submission.model import GPT
    from submission.presets import RECORD

    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else (machine.describe().cpu or "CPU")
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    model = GPT(RECORD.model, dtype=kind).to(device).eval()
    tokens_BT = torch.randint(0, RECORD.model.vocab_size, (1, 2048), device=device)
    times = []
    with torch.inference_mode():
        for _ in range(repeats if device == "cuda" else 3):
            watch = Stopwatch()
            model(tokens_BT).float().sum().item()
            times.append(watch.elapsed_s)
    return statistics.median(times), name


def extrapolate(frames_per_s: float) -> dict[str, Any]:
    """Work out 1,000 blind challenges over the contest's stream from the measured parts."""
    forward_s, device = lone_forward_s()
    accepted = accept_per_s()
    parts = {
        "lone_forward_ms": forward_s * 1e3,
        "device": device,
        "questions_s": 1000 * forward_s,
        "frames_s": CONTEST_TOKENS / frames_per_s,
        "accept_tokens_per_s": accepted,
        "accept_s": CONTEST_TOKENS / accepted,
    }
    total = parts["questions_s"] + parts["frames_s"] + parts["accept_s"]
    return {**parts, "total_s": total, "share_of_600_s": total / 600.0}


def _anonymous_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=CONTEST_TOKENS)
    parser.add_argument("--block", type=int, default=131_072)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-reference", action="store_true", help="the null session alone")
    parser.add_argument("--live", action="store_true", help="watched and not, in turn")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs, live = [], []
        for _ in range(options.repeats):
            runs.append(null_session(options.tokens, options.block, folder, Quiet()))
            if options.live:
                facts = Facts(name="null session", ruleset="none", seeds=(1, 2, 3))
                with listener(facts, "live") as watching:
                    live.append(null_session(options.tokens, options.block, folder, watching))
        wall_s = statistics.median(run["wall_s"] for run in runs)
        result: dict[str, Any] = {
            "machine": machine.describe().cpu,
            "tokens": options.tokens,
            "block_tokens": options.block,
            "repeats": options.repeats,
            "tokens_per_s": options.tokens / wall_s,
            "live_tokens_per_s": options.tokens / statistics.median(run["wall_s"] for run in live)
            if live
            else None,
            "rss_mb": max(run["rss_mb"] for run in runs),
            "rss_growth_mb": max(run["rss_growth_mb"] for run in runs),
            "challenge_overhead": None,
        }
        if not options.no_reference:
            result |= {"reference": reference_challenge(folder)}
            result["challenge_overhead"] = result["reference"]["challenge_overhead"]
            result["at_contest_size"] = extrapolate(result["tokens_per_s"])
    show(result, as_json=options.json)


if __name__ == "__main__":
    main()
