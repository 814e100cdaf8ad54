"""A data set small enough for a trial that has a tokenizer: some documents of the embedded corpus.

Needs sentencepiece; `harness.data.tokenizers.sentencepiece` says how to get it.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from harness.data.build import SPOOL_FILE, Texts, write_encoded
from harness.data.dataset import Dataset, open_dataset
from harness.data.embedded import MODEL_FILE
from harness.data.staging import staged
from harness.data.synthetic import Lexicon, documents
from harness.data.text import TextCount, TextWriter
from harness.data.tokenizers import load_tokenizer
from harness.data.writing import VAL_TEXT_FILE

DOCUMENTS = {"train": 20, "val": 6}
"""Enough that validation is about 10,000 tokens, some of them bytes, in documents of several sizes."""


def make(folder: Path) -> Dataset:
    """Write the data set to a folder that does not exist, and open it.

    Raises DataError where sentencepiece is missing or the folder cannot be written.
    """
    tokenizer = load_tokenizer(MODEL_FILE)
    lexicon = Lexicon()
    with staged(folder) as stage:
        counts: dict[str, TextCount] = {}
        for split, name in (("val", VAL_TEXT_FILE), ("train", SPOOL_FILE)):
            with TextWriter(stage / name) as writer:
                for document in islice(documents(lexicon, split), DOCUMENTS[split]):
                    writer.append(document)
            counts[split] = writer.digest.count()
        texts = Texts(train=counts["train"], val=counts["val"])
        write_encoded(stage, tokenizer, texts, name="spoken")
    return open_dataset(folder)
