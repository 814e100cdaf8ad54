"""A vocabulary's pieces: each token's text and class, from the tokenizer to the scorer.

The trainer reads them from the judge's tokenizer; the scorer, which is not given one, from the artifact.
Shapes: V vocabulary. Does not tokenise, and does not follow words: see native/words.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from native.words import TokenTables, token_tables
from submission.mixer import CONTINUES, CONTROL, STARTS

WORD_START = "▁"
"""What SentencePiece writes for the space before a word."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Text of each token, without the mark of a word's start, and its class where a word is open."""

    texts: tuple[bytes, ...]
    class_V: npt.NDArray[np.uint8]
    """CONTROL (no part of a word), CONTINUES or STARTS: see mixer.py."""

    def tables(self) -> TokenTables:
        """Return the tables by which the counts follow words."""
        return token_tables(self.texts, self.class_V == STARTS, self.class_V == CONTROL)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the arrays to store."""
        text = np.frombuffer(b"".join(self.texts), dtype=np.uint8)
        size_V = np.array([len(text) for text in self.texts], dtype="<u2")
        return {"text": text, "size_V": size_V, "class_V": self.class_V}


def from_arrays(arrays: dict[str, npt.NDArray[np.generic]]) -> Pieces:
    """Return the pieces whose `arrays` these are; raises ValueError or KeyError where they are none."""
    text, class_V = arrays["text"].tobytes(), arrays["class_V"].astype(np.uint8)
    ends = np.cumsum(arrays["size_V"].astype(np.int64))
    fit = len(ends) == len(class_V) > 0 and ends[-1] == len(text) and class_V.max() <= STARTS
    if not fit:
        raise ValueError("the pieces' texts, sizes and classes do not fit together")
    return Pieces(
        tuple(text[end - size : end] for end, size in zip(ends, arrays["size_V"], strict=True)),
        class_V,
    )


def from_tokenizer(model: bytes) -> Pieces:
    """Return the pieces of a SentencePiece model.

    A byte piece is its byte, and goes on with a word. Control tokens, the unknown one among them, are of no
    word.
    """
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    texts, classes = [], []
    for token in range(processor.get_piece_size()):
        piece = processor.id_to_piece(token)
        if processor.is_byte(token):
            texts.append(bytes([int(piece[3:5], 16)]))
            classes.append(CONTINUES)
        elif (
            processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token)
        ):
            texts.append(b"")
            classes.append(CONTROL)
        else:
            starts = piece.startswith(WORD_START)
            texts.append(piece.removeprefix(WORD_START).replace(WORD_START, " ").encode())
            classes.append(STARTS if starts else CONTINUES)
    return Pieces(tuple(texts), np.array(classes, dtype=np.uint8))


def unknown(vocab_size: int) -> Pieces:
    """Return the pieces of a vocabulary that nothing is known of: words cannot be followed."""
    return Pieces((b"",) * vocab_size, np.full(vocab_size, CONTROL, dtype=np.uint8))
