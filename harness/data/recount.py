"""Counting the validation text again: the denominator of bits per byte, from three sides.

The bytes of the text itself, the bytes of what the stored tokens decode to, and the bytes of the text after
the tokenizer's own normaliser. Nothing is added up from a table of piece lengths: what a token is worth
depends on its neighbours, and such tables are where wrong denominators come from.

Legend: T tokens.

Does not judge: `score.bytes` compares, by the ruleset's `bytes.normalisation`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from checks.contract import TextBytes
from harness.data.dataset import Dataset
from harness.data.record import FILE_NAME
from harness.data.shards import Tokens
from harness.data.text import TextCount, TextDigest, read_text
from harness.data.tokenizers import Tokenizer, load_tokenizer
from harness.errors import DataError

BATCH_CHARACTERS = 2_000_000
"""Text decoded at a time, so that memory stays flat."""


def count_text(dataset: Dataset) -> TextBytes:
    """Count the validation set's bytes again, document by document.

    Without a tokenizer nothing is decoded; without the text, `text_bytes` is what the folder states. Raises
    DataError where text, tokens and dataset.json do not belong together, or sentencepiece is missing.
    """
    tokenizer = load_tokenizer(dataset.tokenizer.path) if dataset.tokenizer else None
    if tokenizer is not None:
        for name in ("vocab_size", "bos_id"):
            stated, real = getattr(dataset, name), getattr(tokenizer, name)
            if stated != real:
                raise DataError(
                    f"{dataset.folder / FILE_NAME}: {name} is {stated}, but the tokenizer's is {real}; "
                    "build the data folder again"
                )
    if dataset.val_text is None:
        text = _count_tokens(dataset, tokenizer)
    else:
        text = _count_documents(dataset, tokenizer, dataset.val_text)
    for field in dataclasses.fields(text):
        counted, stated = getattr(text, field.name), getattr(dataset.text, field.name)
        if counted is not None and stated is not None and counted != stated:
            raise DataError(
                f"{dataset.folder / FILE_NAME}: text.{field.name} is {stated}, but {counted} were counted; "
                "build the data folder again"
            )
    return text


def split_documents(tokens_T: Tokens, bos_id: int, origin: str) -> Iterator[Tokens]:
    """Yield the tokens of each document without its bos; DataError where the stream starts without one."""
    starts = np.flatnonzero(tokens_T == bos_id)
    if len(starts) == 0 or starts[0] != 0:
        raise DataError(
            f"{origin}: does not begin with bos_id {bos_id}; build the data folder again"
        )
    for start, end in zip(starts, [*starts[1:], len(tokens_T)], strict=True):
        yield tokens_T[start + 1 : end]


def _count_tokens(dataset: Dataset, tokenizer: Tokenizer | None) -> TextBytes:
    """Count without the text: only what the tokens decode to can be known."""
    decoded_bytes = None
    if tokenizer is not None:
        tokens = split_documents(dataset.val.load_tokens(), tokenizer.bos_id, str(dataset.folder))
        decoded_bytes = sum(
            len(text.encode()) for document in tokens for text in tokenizer.decode([document])
        )
    return TextBytes(
        text_bytes=dataset.text.text_bytes,
        decoded_bytes=decoded_bytes,
        normalised_bytes=None,
        differing_documents=None,
        documents=dataset.val.documents,
    )


def compare_documents(
    texts: Iterator[str], tokens_T: Tokens, tokenizer: Tokenizer, origin: str
) -> tuple[TextCount, TextBytes]:
    """Count texts beside the stream that should hold them, uint16[T] with a bos before each.

    Raises DataError where there are not as many documents in both.
    """
    digest = TextDigest()
    decoded_bytes = normalised_bytes = differing = 0
    documents = split_documents(tokens_T, tokenizer.bos_id, origin)
    for batch in batches(texts, BATCH_CHARACTERS):
        # The batch comes first in zip, so that its end does not swallow one of the documents.
        tokens = [document for _, document in zip(batch, documents, strict=False)]
        if len(tokens) < len(batch):
            raise _not_as_many(origin)
        for text, decoded, normalised in zip(
            batch, tokenizer.decode(tokens), tokenizer.normalise(batch), strict=True
        ):
            digest.add(text)
            decoded_bytes += len(decoded.encode())
            normalised_bytes += len(normalised.encode())
            differing += decoded != normalised
    if next(documents, None) is not None:
        raise _not_as_many(origin)
    count = digest.count()
    return count, TextBytes(
        text_bytes=count.text_bytes,
        decoded_bytes=decoded_bytes,
        normalised_bytes=normalised_bytes,
        differing_documents=differing,
        documents=count.documents,
    )


def _not_as_many(origin: str) -> DataError:
    return DataError(
        f"{origin}: the validation shards do not hold as many documents as the text; "
        "build the data folder again"
    )


def _count_documents(dataset: Dataset, tokenizer: Tokenizer | None, path: Path) -> TextBytes:
    if tokenizer is not None:
        count, text = compare_documents(
            read_text(path), dataset.val.load_tokens(), tokenizer, str(dataset.folder)
        )
    else:
        digest = TextDigest()
        for document in read_text(path):
            digest.add(document)
        count = digest.count()
        text = TextBytes(
            text_bytes=count.text_bytes,
            decoded_bytes=None,
            normalised_bytes=None,
            differing_documents=None,
            documents=count.documents,
        )
    if count.sha256 != dataset.val.text_sha256:
        raise DataError(
            f"{path}: the documents' SHA-256 is {count.sha256[:16]}..., but {FILE_NAME} says "
            f"val.text_sha256 {str(dataset.val.text_sha256)[:16]}...; build the data folder again"
        )
    return text


def batches(texts: Iterable[str], limit: int) -> Iterator[Sequence[str]]:
    """Yield documents in lists of about `limit` characters, at least one document each."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
