"""Runs to look at with `harness compare` and `harness board`: `python -m tests.sample_runs FOLDER`.

Lays out FOLDER, judges three kinds of the forty-line bigram under `smoke`, with a baseline that each of them
beats, and signs them: one trained on a quarter of the text, which the seed draws, one on half of it, and the
second again with another prior. The figures of docs/compare.md and docs/board.md come from there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from harness import ruleset
from harness.ruleset import load
from tests.judged import ROOT, bigram, command, environment

KINDS = (("quarter", 4, 2.0), ("half", 2, 2.0), ("half-smoother", 2, 6.0))
"""Name; one over the part of the text; weight of the prior."""
AUTHORS = {"quarter": "Ada Example", "half": "Grace Example", "half-smoother": "Grace Example"}
TOKENS = "        tokens_T = shard.tokens()\n"
DRAWN = """\
        size = len(tokens_T) // {part}
        first = np.random.default_rng(training.seed).integers(len(tokens_T) - size)
        tokens_T = tokens_T[first : first + size]
"""


def submission(folder: Path, kind: str, part: int, weight: float) -> Path:
    """Copy the bigram, with a part of the text and another prior."""
    copy = bigram(folder / kind, name=f'name = "Bigram, {kind}"\nauthors = ["{AUTHORS[kind]}"]')
    path = copy / "bigram.py"
    text = path.read_text("utf-8")
    assert TOKENS in text
    assert "2.0" in text
    text = text.replace(TOKENS, TOKENS + DRAWN.format(part=part)).replace("2.0", f"{weight}")
    path.write_text(text, "utf-8")
    return copy


def rules(folder: Path) -> Path:
    """Write `smoke` with a baseline that is easily beaten."""
    smoke = load("smoke")
    own = smoke.baseline_text
    assert own is not None
    nats = ", ".join(str(x) for x in ruleset.parse_baseline(own, "smoke.toml").nats_per_token)
    assert nats in own
    (folder / "baselines").mkdir(parents=True)
    easy = own.replace(nats, "3.3, 3.301, 3.302, 3.303, 3.304").replace(
        "reference without its mixer", "a low bar"
    )
    (folder / "baselines" / "easy.toml").write_text(easy, "utf-8")
    path = folder / "easy.toml"
    path.write_text(smoke.text.replace('"smoke.toml"', '"easy.toml"'), "utf-8")
    return path


def keys(folder: Path) -> Path:
    """Write a key pair, and return the private one."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = folder / "judge.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "judge.pub.pem").write_bytes(public)
    return private


def harness(*arguments: object) -> None:
    """Run `harness ARGUMENTS`."""
    subprocess.run(command(*arguments), cwd=ROOT, env=environment(), check=True)


def main() -> None:
    """Lay out, judge, sign."""
    folder = Path(sys.argv[1]).resolve()
    file, private = rules(folder), keys(folder)
    for kind, part, weight in KINDS:
        made = submission(folder / "submissions", kind, part, weight)
        out = folder / "runs" / kind
        harness("run", made, "--ruleset", file, "--seeds", "1,2,3", "--out", out, "--quiet")
        (run,) = out.glob("[!.]*")
        harness("attest", run, "--key", private)


if __name__ == "__main__":
    main()
