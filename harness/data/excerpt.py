"""A small data folder out of a large one: the first documents of validation, the first tokens of training.

For trials that go through everything and measure nothing that counts (`harness check`). Documents are taken
whole, so that the bytes of the excerpt's text are counted and not estimated. Where even the first one is too
long it is cut, and its text is what its first tokens decode to.

Legend: T tokens.

Does not draw: the same folder gives the same excerpt, and nobody may score well for knowing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from checks.contract import TextBytes
from harness.data.dataset import Dataset, open_dataset
from harness.data.record import DatasetRecord, ShardRecord, SplitRecord, write_record
from harness.data.recount import compare_documents
from harness.data.shards import Tokens, read_shard
from harness.data.staging import staged
from harness.data.text import TextCount, TextWriter, read_text
from harness.data.tokenizers import Tokenizer, load_tokenizer
from harness.data.writing import (
    TOKENIZER_FILE,
    VAL_TEXT_FILE,
    SplitWriter,
    file_record,
    text_record,
    write_classes,
    write_file,
)

LONGEST = 2
"""A first document of more than this many times the tokens wanted is cut."""
CHARACTER_BYTES = 4
"""Most bytes, and so most tokens, of one character: what a cut may have to give back."""
UNDECODABLE = "\ufffd"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What of the validation stream is taken."""

    tokens_T: Tokens
    documents: int | None
    """Whole documents from the beginning; None where the stream is cut inside one."""


def excerpt(whole: Dataset, folder: Path, *, val_tokens: int, train_tokens: int) -> Dataset:
    """Make a data folder of about `val_tokens` and of at most `train_tokens`, both 1 or more, and open it.

    Validation: whole documents until there are `val_tokens`, or all there are; without marked documents, or
    where the first is more than twice as long, `val_tokens` exactly, or up to three fewer where the last ones
    are the beginning of a character. Tokenizer and token classes are those of the whole. Raises DataError
    where `folder` is not empty, or the text of `whole` is not that of its tokens.
    """
    tokenizer = load_tokenizer(whole.tokenizer.path) if whole.tokenizer else None
    part = _validation(whole, val_tokens)
    if tokenizer is not None and part.documents is None:
        part = _at_a_character(part, tokenizer)
    train_T = _first(whole, train_tokens)
    with staged(folder) as stage:
        count = _write_text(stage, _texts(whole, part, tokenizer))
        text = _text(stage, whole, part, tokenizer, count)
        model = None if tokenizer is None else write_file(stage, TOKENIZER_FILE, tokenizer.model)
        classes_V = whole.token_classes_V
        record = DatasetRecord(
            schema=1,
            name=f"excerpt of {whole.name}"[:255],
            vocab_size=whole.vocab_size,
            bos_id=whole.bos_id,
            train=SplitRecord(
                shards=_write_tokens(stage, "train", whole, train_T),
                documents=_marked(whole, train_T),
            ),
            val=SplitRecord(
                shards=_write_tokens(stage, "val", whole, part.tokens_T),
                documents=_marked(whole, part.tokens_T),
                text_bytes=text.text_bytes,
                text_sha256=None if count is None else count.sha256,
            ),
            text=text_record(text),
            tokenizer=model,
            token_classes=(
                None if classes_V is None else write_classes(stage, classes_V, whole.vocab_size)
            ),
            val_text=None if count is None else file_record(stage, VAL_TEXT_FILE),
            notes=_notes(part, count),
        )
        write_record(stage, record)
    return open_dataset(folder)


def _validation(whole: Dataset, wanted: int) -> _Part:
    tokens_T = whole.val.load_tokens()
    starts = np.flatnonzero(tokens_T == whole.bos_id) if whole.bos_id is not None else np.array([])
    if len(starts) and starts[0] == 0:
        ends = np.append(starts[1:], len(tokens_T))
        taken = min(int(np.searchsorted(ends, wanted)) + 1, len(ends))
        end = int(ends[taken - 1])
        if taken > 1 or end <= LONGEST * wanted:
            return _Part(tokens_T=tokens_T[:end], documents=taken)
    return _Part(tokens_T=tokens_T[:wanted], documents=None)


def _at_a_character(part: _Part, tokenizer: Tokenizer) -> _Part:
    """Return a cut part without the beginning of a character at its end."""
    for back in range(min(CHARACTER_BYTES, len(part.tokens_T))):
        tokens_T = part.tokens_T[: len(part.tokens_T) - back]
        if not tokenizer.decode([tokens_T])[0].endswith(UNDECODABLE):
            return replace(part, tokens_T=tokens_T)
    return part  # the text itself has that character there


def _first(whole: Dataset, wanted: int) -> Tokens:
    parts, left = [], wanted
    for shard in whole.train.shards:
        parts.append(read_shard(shard.path)[:left])
        left -= len(parts[-1])
        if not left:
            break
    return np.concatenate(parts)


def _texts(whole: Dataset, part: _Part, tokenizer: Tokenizer | None) -> Iterable[str] | None:
    """Return the texts of the validation part, or None where they cannot be known."""
    if part.documents is not None:
        return None if whole.val_text is None else islice(read_text(whole.val_text), part.documents)
    return None if tokenizer is None else tokenizer.decode([part.tokens_T])


def _write_text(stage: Path, texts: Iterable[str] | None) -> TextCount | None:
    if texts is None:
        return None
    with TextWriter(stage / VAL_TEXT_FILE) as writer:
        for text in texts:
            writer.append(text)
    return writer.digest.count()


def _text(
    stage: Path,
    whole: Dataset,
    part: _Part,
    tokenizer: Tokenizer | None,
    count: TextCount | None,
) -> TextBytes:
    """Count the excerpt's text, as far as that can be done."""
    if count is not None and tokenizer is not None:
        texts = read_text(stage / VAL_TEXT_FILE)
        return compare_documents(texts, part.tokens_T, tokenizer, str(whole.folder))[1]
    share = len(part.tokens_T) / whole.val.tokens
    return TextBytes(
        text_bytes=max(1, round(whole.text.text_bytes * share))
        if count is None
        else count.text_bytes,
        decoded_bytes=None,
        normalised_bytes=None,
        differing_documents=None,
        documents=_marked(whole, part.tokens_T) if count is None else count.documents,
    )


def _write_tokens(
    stage: Path, split: str, whole: Dataset, tokens_T: Tokens
) -> tuple[ShardRecord, ...]:
    with SplitWriter(stage, split, whole.vocab_size) as writer:
        writer.append(tokens_T)
        return writer.finish()


def _marked(whole: Dataset, tokens_T: Tokens) -> int:
    return 1 if whole.bos_id is None else int(np.count_nonzero(tokens_T == whole.bos_id))


def _notes(part: _Part, count: TextCount | None) -> tuple[str, ...]:
    notes = ["an excerpt: no score on it counts"]
    if part.documents is None:
        notes.append("the validation stream is cut inside a document")
    if count is None:
        notes.append("the bytes of the text are in proportion to its tokens, and were not counted")
    return tuple(notes)
