"""From a person's own text to a data folder: split, train a tokenizer, encode, count, publish.

Everything is streamed: memory holds the tokenizer's sample and one batch of documents. The text is read once;
train documents wait in the folder being built until the tokenizer is there.

Which documents validate is decided by the SHA-256 of each document, not by a generator: the same text gives
the same split on every machine, and two equal documents are on the same side of it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.dataset import Dataset, open_dataset
from harness.data.record import DatasetRecord, ShardRecord, SplitRecord, write_record
from harness.data.recount import batches, compare_documents
from harness.data.shards import read_shard
from harness.data.source import Documents, read_documents
from harness.data.staging import check_target, staged
from harness.data.text import TextCount, TextWriter, read_text
from harness.data.tokenizers import SAMPLE_BYTES, Tokenizer, cut, load_tokenizer, train_tokenizer
from harness.data.writing import (
    SHARD_TOKENS,
    TOKENIZER_FILE,
    VAL_TEXT_FILE,
    SplitWriter,
    file_record,
    text_record,
    write_classes,
    write_file,
)
from harness.errors import DataError

BATCH_CHARACTERS = 4_000_000
SPOOL_FILE = "train_text.jsonl"
VAL_BYTES = 500_000
"""Held out by default at most about this much: a small scorer reads it within the budgets of `smoke`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to build, as the command line says it."""

    text: Path
    vocab_size: int | None = None
    """Of the tokenizer to train; None where one is given."""
    tokenizer: Path | None = None
    documents: Documents = "line"
    val_text: Path | None = None
    val_fraction: float = 0.02
    val_bytes: int = VAL_BYTES
    """Without `val_text`, documents are held out until they reach this many bytes or that fraction."""
    shard_tokens: int = SHARD_TOKENS
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What the two texts of a folder being built hold."""

    train: TextCount
    val: TextCount
    left_out: int = 0
    """Train documents that are validation documents too."""


def build_dataset(recipe: Recipe, out: Path, *, force: bool = False) -> Dataset:
    """Build a data folder from text and open it.

    Raises DataError, and leaves nothing behind, where text, options or place do not do.
    """
    _check(recipe)
    check_target(out, force=force)
    given = load_tokenizer(recipe.tokenizer) if recipe.tokenizer else None
    with staged(out, force=force) as stage:
        texts = _read(recipe, stage)
        tokenizer = given or train_tokenizer(_sample(stage, texts.train), recipe.vocab_size or 0)
        write_encoded(
            stage,
            tokenizer,
            texts,
            name=recipe.name or recipe.text.name.split(".")[0] or "text",
            shard_tokens=recipe.shard_tokens,
            notes=_notes(recipe, texts),
        )
    return open_dataset(out)


def _check(recipe: Recipe) -> None:
    if (recipe.vocab_size is None) == (recipe.tokenizer is None):
        raise DataError(
            "give either --vocab, to train a tokenizer, or --tokenizer FILE, to use one"
        )
    if not 0 < recipe.val_fraction < 1:
        raise DataError(
            f"--val-fraction: {recipe.val_fraction} is not between 0 and 1; choose another"
        )
    if recipe.val_bytes < 1:
        raise DataError(f"--val-bytes: {recipe.val_bytes} is not 1 or more; choose another")


def _read(recipe: Recipe, stage: Path) -> Texts:
    """Write the validation text into the folder and the train text beside it."""
    held_out: set[bytes] = set()
    left_out = 0
    with TextWriter(stage / VAL_TEXT_FILE) as val, TextWriter(stage / SPOOL_FILE) as train:
        if recipe.val_text is not None:
            for document in read_documents(recipe.val_text, recipe.documents):
                held_out.add(_digest(document))
                val.append(document)
        limit = 0 if recipe.val_text else _limit(recipe)
        for document in read_documents(recipe.text, recipe.documents):
            digest = _digest(document)
            if digest in held_out:
                left_out += 1
            elif _rank(digest) < limit:
                val.append(document)
            else:
                train.append(document)
    texts = Texts(train=train.digest.count(), val=val.digest.count(), left_out=left_out)
    if texts.train.documents == 0:
        raise DataError(
            f"{recipe.text}: leaves no document to train on ({texts.val.documents} for validation); give "
            "more text, or another --documents (now "
            f"{recipe.documents})"
        )
    if texts.val.documents == 0:
        raise DataError(
            f"{recipe.val_text or recipe.text}: leaves no document for validation "
            f"({texts.train.documents} to train on); give --val-text, or another --documents "
            f"(now {recipe.documents})"
        )
    return texts


def _limit(recipe: Recipe) -> int:
    """Return the rank below which documents validate: the lowest ranks, until they hold what was asked.

    At least one document, whatever its size, and never the last one: a text of two documents can be split.
    """
    ranks, sizes = array("Q"), array("Q")
    for document in read_documents(recipe.text, recipe.documents):
        ranks.append(_rank(_digest(document)))
        sizes.append(len(document.encode()))
    wanted = min(recipe.val_bytes, recipe.val_fraction * sum(sizes))
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    held = 0
    for place in order[:-1]:
        held += sizes[place]
        if held >= wanted:
            return ranks[place] + 1
    return ranks[order[-2]] + 1 if len(order) > 1 else 0


def _rank(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


def _digest(document: str) -> bytes:
    return hashlib.sha256(document.encode()).digest()


def _sample(stage: Path, count: TextCount) -> Iterator[str]:
    """Yield train text of about SAMPLE_BYTES: all of it, or pieces chosen by their digests.

    Pieces and not documents, so that a few long documents do not make it a matter of luck.
    """
    limit = min((SAMPLE_BYTES << 64) // max(count.text_bytes, 1), 1 << 64)
    size = 0
    for document in read_text(stage / SPOOL_FILE):
        for piece in cut(document):
            # A short document is one piece, and the first eight bytes of its digest chose the split.
            if int.from_bytes(_digest(piece)[8:16], "big") < limit and size < 2 * SAMPLE_BYTES:
                size += len(piece)
                yield piece


def write_encoded(
    stage: Path,
    tokenizer: Tokenizer,
    texts: Texts,
    *,
    name: str,
    shard_tokens: int = SHARD_TOKENS,
    notes: tuple[str, ...] = (),
) -> None:
    """Encode the two texts that wait in the folder, count, and write dataset.json.

    The train text is removed. `texts` is what the writers of the two counted.
    """
    train = _encode(stage, "train", tokenizer, shard_tokens)
    (stage / SPOOL_FILE).unlink()
    val = _encode(stage, "val", tokenizer, shard_tokens)
    model = write_file(stage, TOKENIZER_FILE, tokenizer.model)
    classes = write_classes(stage, tokenizer.classes(), tokenizer.vocab_size)
    tokens_T = np.concatenate([read_shard(stage / shard.path) for shard in val])
    _, text = compare_documents(read_text(stage / VAL_TEXT_FILE), tokens_T, tokenizer, str(stage))
    if text.differing_documents:
        notes += (
            f"{text.differing_documents} validation documents do not decode to their normalised text: "
            "see score.bytes",
        )
    write_record(
        stage,
        DatasetRecord(
            schema=1,
            name=name,
            vocab_size=tokenizer.vocab_size,
            bos_id=tokenizer.bos_id,
            train=_split(train, texts.train),
            val=_split(val, texts.val),
            text=text_record(text),
            tokenizer=model,
            token_classes=classes,
            val_text=file_record(stage, VAL_TEXT_FILE),
            notes=notes,
        ),
    )


def _encode(
    stage: Path, split: str, tokenizer: Tokenizer, shard_tokens: int
) -> tuple[ShardRecord, ...]:
    """Encode a split's text into its shards, a batch at a time."""
    source = SPOOL_FILE if split == "train" else VAL_TEXT_FILE
    with SplitWriter(stage, split, tokenizer.vocab_size, shard_tokens) as writer:
        for batch in batches(read_text(stage / source), BATCH_CHARACTERS):
            writer.append(np.concatenate(tokenizer.encode(batch)))
        return writer.finish()


def _split(shards: tuple[ShardRecord, ...], text: TextCount) -> SplitRecord:
    return SplitRecord(
        shards=shards,
        documents=text.documents,
        text_bytes=text.text_bytes,
        text_sha256=text.sha256,
    )


def _notes(recipe: Recipe, texts: Texts) -> tuple[str, ...]:
    """Return what was assumed, one sentence each."""
    rule = {
        "line": "one document a line",
        "blank": "documents end at blank lines",
        "file": "one document a file",
    }[recipe.documents]
    notes = [f"{rule}; bytes are those of the documents, without what separates them"]
    if recipe.val_text is None:
        notes.append(
            f"the documents of lowest SHA-256 validate: {recipe.val_fraction:g} of the text, at most about "
            f"{recipe.val_bytes} bytes"
        )
    elif texts.left_out:
        notes.append(
            f"{texts.left_out} train documents were left out: they are validation documents too"
        )
    if recipe.tokenizer is None:
        sample = min(SAMPLE_BYTES, texts.train.text_bytes)
        notes.append(f"the tokenizer was trained on about {sample} bytes of the train text")
    return tuple(notes)
