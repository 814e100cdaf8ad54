"""Train the embedded corpus's tokenizer again: `python -m tests.make_synthetic_tokenizer [FILE]`.

Writes harness/data/synthetic.model, or FILE. The model is kept in the repository so that a smoke run trains
no tokenizer and another version of the trainer changes nothing; after a change of the corpus, run this, then
`python -m tests.benchmarks.data`, and pin the digests that it prints in harness/data/embedded.py and
harness/rulesets/smoke.toml.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.data.embedded import MODEL_FILE, VOCAB_SIZE
from harness.data.synthetic import Lexicon, documents
from harness.data.tokenizers import train_tokenizer


def main(out: Path) -> None:
    tokenizer = train_tokenizer(documents(Lexicon(), "train"), VOCAB_SIZE)
    out.write_bytes(tokenizer.model)
    print(f"{out}: {len(tokenizer.model)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL_FILE)
