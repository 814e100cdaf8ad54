"""What counting costs: tokens a second, questions that are not accepted, two threads, and what bounds it.

    python -m tests.benchmarks.ngram --tokens N [--repeats R] [--stream DATA] [--contexts A,B] [--json]

tokens_per_s        Look and accept together, as the scorer does them: three contexts, one of each expert,
                    blocks of 131,072, from empty tables to the end of the stream, the first use of their
                    pages included. Median over repeats.
table_bytes         All tables, of a size for that many tokens: 2e9 for the contest's 62e6, never more.
overlay_ratio       A block that is looked at and not accepted, the undoing included, over one that is looked
                    at and accepted: medians over alternate blocks of the stream's second half.
two_thread_speedup  Two states in two threads over one state alone: tokens a second of both together.
memory_bound        Nanoseconds a token, beside one another, of one thread.

The last is four figures. counts_ns is 1e9 / tokens_per_s. counts_in_cache_ns is the same with tables of 256
KiB, which the caches hold: the computing alone, though with more newcomers than in a large table, as contexts
make room there all the time. random_lines_ns is the memory alone: a cache line for each context at random
places of a warm table of table_bytes, read and written, asked for as far ahead as the counts do it; text
comes back to some lines, so that the counts may well wait less. first_touch_ns is what it takes the system to
hand out table_bytes, spread over all tokens: it is in counts_ns, not in the two others.

The stream is drawn, the same each time: words by Zipf's law from a lexicon of 50,000, each of one to four
pieces out of 1,024, so that about 45 % of the tokens start a word; no phrase comes back but by chance. With
--stream it is that of a data folder (validation first, then train) or of one shard, with the pieces of its
tokenizer.model where that and sentencepiece are there; else the pieces are drawn, and `pieces` says so.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness import machine
from harness.clock import Stopwatch
from harness.data.shards import read_shard
from native import counts
from native.counts import Counts
from native.words import TokenTables, token_tables
from tests.benchmarks.tables import show

CONTEXTS = ("token:15", "within:0", "word:3")
BLOCK_TOKENS = 131_072
CONTEST_TOKENS, CONTEST_TABLE_BYTES = 62e6, 2e9
IN_CACHE_BYTES = 1 << 18
VOCAB, START_SHARE, LEXICON = 1024, 0.45, 50_000
LINES_A_STRETCH = 3 * 64
"""As in ngram_lines.c."""

Tokens = npt.NDArray[np.uint16]


class Stream(NamedTuple):
    """What is counted."""

    token_T: Tokens
    tables: TokenTables
    contexts: tuple[str, ...]
    pieces: str
    """Where the pieces are from."""


def drawn_pieces(vocab: int) -> tuple[TokenTables, int]:
    """Return tables of a vocabulary of short pieces, and how many start a word: tokens 1 to that number."""
    rng = np.random.default_rng(5)
    starts = round(vocab * START_SHARE)
    letters = [
        bytes(rng.integers(97, 123, rng.integers(1, 5)).astype(np.uint8)) for _ in range(vocab - 1)
    ]
    tables = token_tables(
        [b"", *letters],
        [0 < token <= starts for token in range(vocab)],
        [token == 0 for token in range(vocab)],
    )
    return tables, starts


def drawn_stream(count: int) -> Stream:
    """Return a stream of words by Zipf's law; about one in a thousand is a boundary."""
    tables, starts = drawn_pieces(VOCAB)
    rng = np.random.default_rng(6)
    piece_W4 = rng.integers(starts + 1, VOCAB, (LEXICON, 4), dtype=np.uint16)
    piece_W4[:, 0] = rng.integers(1, starts + 1, LEXICON)
    # Lengths in turn, not drawn: else the few most frequent words would decide the mean.
    size_W = np.tile([2, 1, 4, 2, 3, 1, 2, 3, 2], LEXICON // 9 + 1)[:LEXICON]
    piece_W4[0, 0], size_W[LEXICON // 1_000] = 1, 1
    piece_W4[LEXICON // 1_000, 0] = 0
    upto_W = np.cumsum(1.0 / (np.arange(LEXICON) + 2.7))
    parts: list[Tokens] = []
    have = 0
    while have < count:
        word = np.searchsorted(upto_W, rng.random(1 << 20) * upto_W[-1])
        parts.append(piece_W4[word][np.arange(4) < size_W[word, None]])
        have += len(parts[-1])
    return Stream(np.concatenate(parts)[:count], tables, CONTEXTS, "drawn")


def real_stream(path: Path, count: int) -> Stream:
    """Return the tokens of a data folder or of one shard, as many as there are up to `count`."""
    folder = path if path.is_dir() else path.parent.parent
    files = (
        [path]
        if path.is_file()
        else [*sorted(path.glob("val/*.bin")), *sorted(path.glob("train/*.bin"))]
    )
    parts, have = [], 0
    for file in files:
        parts.append(read_shard(file)[: count - have])
        have += len(parts[-1])
        if have == count:
            break
    if not have:
        raise SystemExit(f"{path}: no shard with tokens; give a data folder or a shard's file")
    token_T = np.concatenate(parts)
    try:
        from submission.pieces import from_tokenizer

        tables = from_tokenizer((folder / "tokenizer.model").read_bytes()).tables()
        return Stream(token_T, tables, CONTEXTS, "tokenizer.model")
    except (ImportError, OSError):
        tables = drawn_pieces(max(VOCAB, int(token_T.max()) + 1))[0]
        return Stream(token_T, tables, CONTEXTS, "drawn")


def a_state(stream: Stream, table_bytes: int) -> Counts:
    """Return a new state of three contexts, one of each expert."""
    return Counts(
        stream.contexts,
        stream.tables,
        table_bytes=table_bytes,
        block_tokens=BLOCK_TOKENS,
        use_compiled=True,
    )


def blocks(stream: Stream) -> list[Tokens]:
    """Return the stream's blocks."""
    return [
        stream.token_T[at : at + BLOCK_TOKENS] for at in range(0, len(stream.token_T), BLOCK_TOKENS)
    ]


def count_all(state: Counts, stream: Stream) -> float:
    """Return the seconds that the whole stream takes."""
    watch = Stopwatch()
    for block_T in blocks(stream):
        state.look(block_T)
        state.accept(block_T)
    return watch.elapsed_s


def overlay(state: Counts, stream: Stream) -> tuple[list[float], list[float]]:
    """Return seconds a token of blocks that are looked at and accepted, and of those that are undone."""
    accepted, undone = [], []
    whole = [block_T for block_T in blocks(stream) if len(block_T) == BLOCK_TOKENS]
    for n, block_T in enumerate(whole):
        watch = Stopwatch()
        state.look(block_T)
        if n % 2:
            state.look(block_T[:0])
            undone.append(watch.elapsed_s)
            state.accept(block_T)
        else:
            state.accept(block_T)
            accepted.append(watch.elapsed_s)
    return accepted[len(accepted) // 2 :], undone[len(undone) // 2 :]


def two_threads(stream: Stream, table_bytes: int) -> float:
    """Return the seconds until two states in two threads have both counted the stream."""
    states = [a_state(stream, table_bytes) for _ in range(2)]
    workers = [threading.Thread(target=count_all, args=(state, stream)) for state in states]
    watch = Stopwatch()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return watch.elapsed_s


def build_lines(folder: Path) -> ctypes.CDLL:
    """Compile ngram_lines.c into a folder and load it."""
    source, library = Path(__file__).with_name("ngram_lines.c"), folder / "lines.so"
    subprocess.run(
        ["gcc", "-std=c11", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True
    )
    lines = ctypes.CDLL(str(library))
    lines.map_lines.restype = ctypes.c_void_p
    lines.map_lines.argtypes = [ctypes.c_size_t]
    lines.unmap_lines.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lines.touch_lines.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lines.change_lines.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_uint64,
        ctypes.c_uint64,
    ]
    return lines


def memory_alone(lines: ctypes.CDLL, table_bytes: int, seed: int) -> tuple[float, float]:
    """Return the seconds that it takes to get a table, and to change three of its lines."""
    table = lines.map_lines(table_bytes)
    if not table:
        raise SystemExit(f"no memory for a table of {table_bytes} bytes")
    watch = Stopwatch()
    lines.touch_lines(table, table_bytes)
    touch_s = watch.elapsed_s
    stretches = 30_000
    watch = Stopwatch()
    lines.change_lines(table, table_bytes, stretches, seed)
    lines_s = watch.elapsed_s / (stretches * LINES_A_STRETCH / 3)
    lines.unmap_lines(table, table_bytes)
    return touch_s, lines_s


def median_of(repeats: int, measured: Callable[[], float]) -> float:
    """Return the median of a few measurements."""
    return statistics.median(measured() for _ in range(repeats))


def measure(stream: Stream, table_bytes: int, repeats: int) -> dict[str, Any]:
    """Return all figures."""
    tokens = len(stream.token_T)
    one, both, accepted, undone = [], [], [], []
    for _ in range(repeats):  # in turn, so that what else the machine does meets all of them
        one.append(count_all(a_state(stream, table_bytes), stream))
        both.append(two_threads(stream, table_bytes))
        for found, more in zip(
            (accepted, undone), overlay(a_state(stream, table_bytes), stream), strict=True
        ):
            found += more
    in_cache_s = median_of(repeats, lambda: count_all(a_state(stream, IN_CACHE_BYTES), stream))
    with tempfile.TemporaryDirectory() as folder:
        lines = build_lines(Path(folder))
        alone = [memory_alone(lines, table_bytes, seed) for seed in range(repeats)]
    one_s = statistics.median(one)
    enough = accepted and undone
    return {
        "tokens_per_s": tokens / one_s,
        "table_bytes": a_state(stream, table_bytes).table_bytes,
        "overlay_ratio": statistics.median(undone) / statistics.median(accepted)
        if enough
        else None,
        "overlay_blocks": len(undone),
        "two_thread_speedup": 2 * one_s / statistics.median(both),
        "memory_bound": {
            "counts_ns": 1e9 * one_s / tokens,
            "counts_in_cache_ns": 1e9 * in_cache_s / tokens,
            "random_lines_ns": 1e9
            * statistics.median(lines_s for _, lines_s in alone)
            * len(stream.contexts)
            / 3,
            "first_touch_ns": 1e9 * statistics.median(touch_s for touch_s, _ in alone) / tokens,
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=int(CONTEST_TOKENS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stream", type=Path, help="a data folder, or one shard")
    parser.add_argument("--contexts", default=",".join(CONTEXTS), help="by commas")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if counts.compiled is None:
        raise SystemExit(
            "native._ngram was not built; run `pip install -e .` with a C compiler there"
        )
    stream = (
        real_stream(options.stream, options.tokens)
        if options.stream
        else drawn_stream(options.tokens)
    )
    stream = stream._replace(contexts=tuple(options.contexts.split(",")))
    tokens = len(stream.token_T)
    table_bytes = int(min(CONTEST_TABLE_BYTES, CONTEST_TABLE_BYTES * tokens / CONTEST_TOKENS))
    facts = machine.describe()
    result = {
        "machine": facts.cpu,
        "cores": facts.cores,
        "tokens": tokens,
        "pieces": stream.pieces,
        "word_start_share": float((stream.tables.kind_V[stream.token_T] & 1).mean()),
        "contexts": " ".join(stream.contexts),
        "block_tokens": BLOCK_TOKENS,
        "repeats": options.repeats,
        **measure(stream, table_bytes, options.repeats),
    }
    show(result, as_json=options.json)


if __name__ == "__main__":
    main()
