"""What several tests draw: token streams, nats, cuts of a byte stream, trees of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

VOCAB = 16

honest_nats = st.floats(0.0, 60.0, allow_subnormal=False)
forbidden_nats = st.sampled_from([float("nan"), float("inf"), -float("inf"), -1e-300, -1.0, 1e308])


def streams(max_tokens: int = 40) -> st.SearchStrategy[np.ndarray]:
    """Streams of at least one token below VOCAB."""
    return st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=max_tokens).map(
        lambda tokens: np.array(tokens, dtype=np.uint16)
    )


def cuts(max_pieces: int = 6) -> st.SearchStrategy[list[float]]:
    """Where to cut bytes, as ascending fractions of their length."""
    return st.lists(st.floats(0.0, 1.0), max_size=max_pieces).map(sorted)


PART = st.text("abcXYZ0129 -_é.", min_size=1, max_size=8).filter(
    lambda name: not name.startswith(".") and name == name.strip() and name.strip(".")
)


def trees(max_files: int = 8) -> st.SearchStrategy[dict[str, bytes]]:
    """Files by relative name, none of which is also a folder of another."""
    names = st.lists(PART, min_size=1, max_size=3).map("/".join)
    return st.dictionaries(names, st.binary(max_size=300), min_size=1, max_size=max_files).filter(
        lambda tree: (
            not any(
                other.startswith(f"{name}/") for name in tree for other in tree if other != name
            )
        )
    )


def lay(folder: Path, tree: dict[str, bytes]) -> Path:
    """Write a tree of files; return the folder."""
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
