"""The data set that needs no download: the synthetic corpus through the tokenizer kept in the package.

Everything about it is pinned here and, for the ruleset's part, in harness/rulesets/smoke.toml: text,
tokenizer and tokens. Should a version of SentencePiece ever encode differently, the build stops and says so
instead of making a smoke run that its baseline cannot be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.data.build import SPOOL_FILE, Texts, write_encoded
from harness.data.dataset import Dataset, open_dataset
from harness.data.staging import staged
from harness.data.synthetic import VERSION, Lexicon, documents
from harness.data.text import TextCount, TextWriter
from harness.data.tokenizers import load_tokenizer
from harness.data.writing import VAL_TEXT_FILE
from harness.errors import DataError

MODEL_FILE = Path(__file__).with_name("synthetic.model")
VOCAB_SIZE = 512

DIGESTS: Mapping[str, str] = {
    "train_text": "273a7627f7d7cf7c14afd8d64b72c21bd97cad4dbfce77d0391406352724ac99",
    "val_text": "642a3e6ce873e0b9f07d0fd8d8b26ae67eef78e57b6ca80def5f4c7d46f579e7",
    "tokenizer": "7883f7b98dcbbe7e64879287bcc59bdcf8629a58dee4de5b3da0c817da83b2f7",
    "train": "20aa4c6918b76971de7b0ac7ae11052cfff30cf7ad22746bc5cd87896738e2d9",
    "val": "dd83bc6f5822ca46a669a72290fda8f615fa9bf0a1dad149c076b8bc54020da4",
}


def embedded(folder: Path) -> Dataset:
    """Open the embedded data set in `folder`, building it there first if there is nothing.

    Two processes may do so at once. Raises DataError where `folder` holds anything else, or what was built is
    not what is pinned.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        try:
            build_embedded(folder)
        except DataError:
            # Another process may have finished it meanwhile; then it opens, and else this says why not.
            if not folder.exists():
                raise
    try:
        dataset = open_dataset(folder)
    except DataError as error:
        raise DataError(f"{error} (or delete {folder}: it is made again)") from None
    for name, pinned in DIGESTS.items():
        if dataset.digests.get(name) != pinned:
            raise DataError(
                f"{folder}: {name} is not that of {VERSION} (SHA-256 {dataset.digests.get(name)}, pinned "
                f"{pinned}); delete the folder, and if it comes back the same, install sentencepiece 0.2"
            )
    return dataset


def build_embedded(folder: Path) -> None:
    """Build the embedded data set in a folder that is not there, or empty."""
    tokenizer = load_tokenizer(MODEL_FILE)
    lexicon = Lexicon()
    with staged(folder) as stage:
        counts: dict[str, TextCount] = {}
        for split, name in (("val", VAL_TEXT_FILE), ("train", SPOOL_FILE)):
            with TextWriter(stage / name) as writer:
                for document in documents(lexicon, split):
                    writer.append(document)
            counts[split] = writer.digest.count()
        write_encoded(
            stage, tokenizer, Texts(train=counts["train"], val=counts["val"]), name=VERSION
        )
