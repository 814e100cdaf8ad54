"""A data set of a few thousand tokens for tests, in one call and without sentencepiece."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.data.dataset import Dataset, TokenClass
from harness.data.synthetic import below, draws
from harness.data.writing import write_dataset

PAD, BOS = 0, 1
FIRST_BYTE, FIRST_WORD = 4, 8


def tiny_dataset(
    folder: Path,
    *,
    vocab_size: int = 64,
    train_tokens: int = 20_000,
    val_tokens: int = 8_192,
    seed: int = 0,
) -> Dataset:
    """Make a data folder whose tokens have something to learn, of all four classes, with real text bytes.

    0..3 are control (bos is 1), 4..7 bytes, then word starts and continuations, half each. Each token has two
    likely successors; documents are 40 to 240 tokens. The text is what the tokens spell, so that
    `dataset.text.text_bytes` is counted, not given. Needs vocab_size >= 16.
    """
    classes_V = np.full(vocab_size, TokenClass.CONTINUATION, dtype=np.uint8)
    classes_V[:FIRST_BYTE] = TokenClass.CONTROL
    classes_V[FIRST_BYTE:FIRST_WORD] = TokenClass.BYTE
    classes_V[FIRST_WORD : (FIRST_WORD + vocab_size) // 2] = TokenClass.WORD_START
    train_T = _stream(f"tiny/{seed}/train", vocab_size, train_tokens)
    val_T = _stream(f"tiny/{seed}/val", vocab_size, val_tokens)
    return write_dataset(
        folder,
        name="tiny",
        train_T=train_T,
        val_T=val_T,
        vocab_size=vocab_size,
        bos_id=BOS,
        token_classes_V=classes_V,
        val_documents=_spelt(val_T, classes_V),
    )


def _stream(key: str, vocab_size: int, count: int) -> np.ndarray:
    draw = draws(key)
    tokens: list[int] = []
    left = 0
    while len(tokens) < count:
        if left == 0:
            tokens.append(BOS)
            left = 40 + below(draw, 201)
            continue
        choice = below(draw, 8)
        step = 7 if choice < 4 else 19 if choice < 6 else below(draw, vocab_size)
        tokens.append(FIRST_BYTE + (tokens[-1] * 5 + step) % (vocab_size - FIRST_BYTE))
        left -= 1
    return np.array(tokens, dtype=np.uint16)


def _spelt(tokens_T: np.ndarray, classes_V: np.ndarray) -> list[str]:
    documents: list[list[str]] = []
    for token in tokens_T.tolist():
        if token == BOS:
            documents.append([])
        elif classes_V[token] == TokenClass.BYTE:
            documents[-1].append("#%&*"[token - FIRST_BYTE])
        else:
            space = " " if classes_V[token] == TokenClass.WORD_START else ""
            documents[-1].append(f"{space}{'aeiou'[token % 5]}{'bdgkmnprst'[token % 10]}")
    return ["".join(document) for document in documents]
