"""Fuzz one reader: `python -m tests.fuzz TARGET [--seconds 60] [--keep]`.

Starts from tests/fuzz/corpus/TARGET/. What is new goes to a temporary folder, which is named at the end;
`--keep` adds to the corpus what reaches something that the corpus does not. Needs atheris, the extra `fuzz`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tests.fuzz.targets import MAX_BYTES, NAMES, target

CORPUS = Path(__file__).parent / "corpus"
RUNNING = Path(__file__).with_name("running.py")
CASE_S = 10
"""One input that takes longer is a finding."""
MEMORY_MB = 2048
MEMORY = Path("/dev/shm")


def main(arguments: list[str] | None = None) -> int:
    """Fuzz; return the exit status, 0 where nothing was found."""
    asked = _parser().parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        sys.exit("tests.fuzz: atheris is not installed; pip install -e '.[fuzz]' brings it")
    place = Path(tempfile.mkdtemp(prefix=f"fuzz-{asked.target}-"))
    new, corpus = place / "new", CORPUS / asked.target
    new.mkdir()
    corpus.mkdir(parents=True, exist_ok=True)
    words = place / "words"
    words.write_text("".join(_quoted(word) for word in target(asked.target).WORDS), "ascii")
    status = _run(
        *(asked.target, f"-max_total_time={asked.seconds}", f"-max_len={MAX_BYTES // 2}"),
        *(f"-timeout={CASE_S}", f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"),
        *(f"-dict={words}", f"-artifact_prefix={place}/", str(new), str(corpus)),
    )
    if status:
        print(f"tests.fuzz: a finding; the input that led to it is in {place}", file=sys.stderr)
        return status
    if asked.keep:
        return _keep(asked.target, corpus, new, place / "merged")
    print(f"tests.fuzz: nothing found; new inputs are in {new}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", action="store_true", help="add to the corpus what is worth it")
    return parser


def _quoted(word: bytes) -> str:
    """Return a line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _keep(name: str, corpus: Path, new: Path, merged: Path) -> int:
    """Add the fewest inputs that together reach every line that the new ones do, named by their digest."""
    merged.mkdir()
    for path in corpus.iterdir():  # what is there stays, under its name
        (merged / path.name).write_bytes(path.read_bytes())
    before = {path.name for path in merged.iterdir()}
    # By lines reached, not by how often: a corpus that people look at is worth more than a few rare counts.
    status = _run(name, "-set_cover_merge=1", "-use_counters=0", str(merged), str(new))
    for path in merged.iterdir():
        if path.name not in before:
            data = path.read_bytes()
            (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    return status


def _run(*arguments: str) -> int:
    """Run libFuzzer in a process of its own, which it never returns from; return its status.

    Targets write each input to a file, thousands a second: in memory where that can be.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as quick:
        environment = {**os.environ, "TMPDIR": quick}
        command = [sys.executable, str(RUNNING), *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
