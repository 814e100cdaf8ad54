"""SentencePiece tokenizers: trained here without loss, or loaded as given.

What is trained here is a BPE with byte fallback that changes nothing in the text: no normaliser, no space in
front, no spaces removed. One character cannot be kept: SentencePiece writes the space as U+2581, so a text
that holds U+2581 itself comes back with spaces; `recount` counts such documents as differing.

sentencepiece is imported when it is needed, so that data without a tokenizer can be judged without it.

Legend: T tokens, V vocabulary.

Source: Kudo and Richardson 2018, SentencePiece; Sennrich et al. 2016 for BPE on text.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.dataset import TokenClass
from harness.data.shards import MAX_VOCAB, Tokens
from harness.errors import DataError

SPACE = "\u2581"
PAD, BOS, EOS, UNK = 0, 1, 2, 3
RESERVED = 4 + 256
"""Control pieces and one piece for each byte."""
MIN_VOCAB = RESERVED + 2
THREADS = 2
SAMPLE_BYTES = 8_000_000
"""Text that a tokenizer is trained on at most; more changes few merges and costs time in proportion."""
PIECE_CHARACTERS = 4_000
"""Documents are cut for training, at a space where there is one: SentencePiece skips long lines."""
COVERAGE = 0.9995
"""Share of the characters that get pieces; the rarest become bytes. SentencePiece's own default."""


def sentencepiece() -> Any:
    """Return the library; DataError that says how to install it where it is missing."""
    try:
        import sentencepiece as library
    except ImportError:
        raise DataError(
            "tokenizer: sentencepiece is not installed; run `pip install '.[data]'` in the project's folder"
        ) from None
    return library


class Tokenizer:
    """A SentencePiece model in memory."""

    def __init__(self, model: bytes, origin: str) -> None:
        """Load the model; `origin` names it in errors. Raises DataError where it cannot be used."""
        if not model:
            raise DataError(f"{origin}: is empty; give a tokenizer.model file")
        try:
            self._processor = sentencepiece().SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise DataError(
                f"{origin}: not a SentencePiece model; give a tokenizer.model file"
            ) from None
        self.model = model
        self.vocab_size = int(self._processor.vocab_size())
        self.bos_id = int(self._processor.bos_id())
        if self.vocab_size > MAX_VOCAB:
            raise DataError(
                f"{origin}: vocabulary of {self.vocab_size} does not fit uint16; "
                f"use a tokenizer of at most {MAX_VOCAB} tokens"
            )
        if self.bos_id < 0:
            raise DataError(
                f"{origin}: has no bos token to mark documents with; use a tokenizer that has one"
            )
        self._adds_space = self._processor.normalize("a") == f"{SPACE}a"

    def encode(self, documents: Sequence[str]) -> list[Tokens]:
        """Return each document's tokens, bos in front, uint16[T]."""
        if not documents:
            return []
        ids = self._processor.encode(list(documents), out_type=int, num_threads=THREADS)
        return [np.array([self.bos_id, *document], dtype=np.uint16) for document in ids]

    def decode(self, documents: Sequence[npt.NDArray[np.integer[Any]]]) -> list[str]:
        """Return the text that each document's tokens stand for; control tokens stand for none."""
        if not documents:
            return []
        ids = [tokens_T.tolist() for tokens_T in documents]
        decoded: list[str] = self._processor.decode(ids, num_threads=THREADS)
        return decoded

    def piece(self, token: int) -> str:
        """Return one token's text with spaces as spaces; a byte is <0xNN>, a control token its name.

        Bytes are never put together, so that half of a character is seen to be half.
        """
        piece: str = self._processor.id_to_piece(token)
        return piece.replace(SPACE, " ")

    def normalise(self, documents: Sequence[str]) -> list[str]:
        """Return each document after the model's own normaliser, as text with spaces.

        U+2581 of the document itself is kept, since no tokens stand for it: decoded text then differs.
        """
        return [self._normalise(document) for document in documents]

    def _normalise(self, document: str) -> str:
        if SPACE in document:
            # The normaliser's output cannot tell it from a space; each stretch between is done alone.
            return SPACE.join(
                self._normalise(part) if part else "" for part in document.split(SPACE)
            )
        text: str = self._processor.normalize(document)
        text = text.replace(SPACE, " ")
        return text[1:] if self._adds_space and text.startswith(" ") else text

    def classes(self) -> npt.NDArray[np.uint8]:
        """Return the TokenClass of every token, uint8[V]."""
        return np.array([self._class(token) for token in range(self.vocab_size)], dtype=np.uint8)

    def _class(self, token: int) -> TokenClass:
        processor = self._processor
        if processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token):
            return TokenClass.CONTROL
        if processor.is_byte(token):
            return TokenClass.BYTE
        if processor.id_to_piece(token).startswith(SPACE):
            return TokenClass.WORD_START
        return TokenClass.CONTINUATION


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a model file; DataError where it cannot be read or used."""
    try:
        model = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a SentencePiece model file") from None
    return Tokenizer(model, str(path))


def train_tokenizer(documents: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a lossless BPE with byte fallback: pad 0, bos 1, eos 2, unk 3, bytes 4..259.

    The same documents give the same model: one thread, no sampling beyond what the caller did. Characters
    get pieces of their own as far as half the vocabulary allows, the most frequent first; the rest are
    bytes. Raises DataError where the vocabulary does not suit the text.
    """
    if not MIN_VOCAB <= vocab_size <= MAX_VOCAB:
        raise DataError(
            f"--vocab: {vocab_size} is not in {MIN_VOCAB}..{MAX_VOCAB} "
            f"({RESERVED} tokens are control and bytes, and tokens are uint16); choose another"
        )
    pieces = [piece for document in documents for piece in cut(document) if "\0" not in piece]
    if not pieces:
        raise DataError("--text: no text to train a tokenizer on; give more")
    model = io.BytesIO()
    try:
        sentencepiece().SentencePieceTrainer.train(
            sentence_iterator=iter(_without_rare(pieces, vocab_size)),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=COVERAGE,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_digits=True,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            num_threads=1,
            max_sentence_length=8 * PIECE_CHARACTERS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(
            f"--vocab: {vocab_size} does not suit this text: {_reason(error)}; "
            "choose another number or give more text"
        ) from None
    return Tokenizer(model.getvalue(), "the tokenizer just trained")


def cut(document: str) -> Iterator[str]:
    """Yield the document's lines in pieces of at most PIECE_CHARACTERS, cut before a space if possible."""
    for line in document.split("\n"):
        start = 0
        while start < len(line):
            end = start + PIECE_CHARACTERS
            space = line.rfind(" ", start + 1, end) if end < len(line) else -1
            yield line[start : space if space > 0 else end]
            start = space if space > 0 else end


def _without_rare(pieces: list[str], vocab_size: int) -> list[str]:
    """Return the pieces cut at every character that there is no room for: at most half of what is free.

    The trainer gives each character it sees a piece, and refuses the text if they do not fit.
    """
    counts = Counter[str]()
    for piece in pieces:
        counts.update(piece)
    room = (vocab_size - RESERVED) // 2
    if len(counts) <= room:
        return pieces
    kept = "".join(re.escape(letter) for letter, _ in counts.most_common(room))
    return [part for piece in pieces for part in re.findall(f"[{kept}]+", piece)]


def _reason(error: RuntimeError) -> str:
    """Return the library's own sentence without its source location."""
    return str(error).split("] ")[-1].strip().rstrip(".") or "the trainer refused it"
