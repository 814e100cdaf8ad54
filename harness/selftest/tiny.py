"""A data set small enough for a test, with what language has: words, phrases that recur, a habit of order.

Sixty-four tokens, no tokenizer: a control token, seven bytes, 28 word starts, 28 continuations. The same on
every machine.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.dataset import Dataset, TokenClass
from harness.data.writing import write_dataset

VOCAB_SIZE = 64
FIRST_WORD_START, FIRST_CONTINUATION = 8, 36
TRAIN_TOKENS = 40_000
VAL_TOKENS = 10_001
"""One more than a multiple of 500 or 1,000: such blocks leave a last one of a single token."""
CLASSES_V = np.repeat(
    [TokenClass.CONTROL, TokenClass.BYTE, TokenClass.WORD_START, TokenClass.CONTINUATION],
    [1, 7, 28, 28],
)


def tokens(count: int, seed: int) -> npt.NDArray[np.uint16]:
    """Return a stream: the language is fixed, `seed` draws what is said in it."""
    language, chance = np.random.default_rng(7), np.random.default_rng(seed)
    starts = language.integers(FIRST_WORD_START, FIRST_CONTINUATION, 60).tolist()
    lengths = language.integers(0, 4, 60)
    words = [
        [start, *language.integers(FIRST_CONTINUATION, VOCAB_SIZE, length).tolist()]
        for start, length in zip(starts, lengths, strict=True)
    ]
    words += [[int(byte)] for byte in range(1, FIRST_WORD_START)]
    following = language.integers(0, len(words), (len(words), 6))
    phrases = [language.integers(0, len(words), language.integers(4, 9)) for _ in range(20)]
    said, word = [0], 0
    while len(said) < count:
        if chance.random() < 0.15:
            for word in phrases[chance.integers(len(phrases))]:
                said += words[word]
        word = int(following[word, chance.geometric(0.5) % 6])
        said += words[word]
    return np.array(said[:count], dtype=np.uint16)


def text(tokens_T: npt.NDArray[np.uint16]) -> str:
    """Return what the tokens stand for: one letter each, word starts after a space, control nothing."""
    letters = "abcdefghijklmnopqrstuvwxyzäö"
    pieces = ["", *".,;:!?\n", *(f" {letter}" for letter in letters), *letters]
    return "".join(pieces[token] for token in tokens_T)


def make(folder: Path) -> Dataset:
    """Write the data set to a folder that does not exist, and open it."""
    val_T = tokens(VAL_TOKENS, seed=2)
    return write_dataset(
        folder,
        train_T=tokens(TRAIN_TOKENS, seed=1),
        val_T=val_T,
        vocab_size=VOCAB_SIZE,
        val_documents=[text(val_T)],
        token_classes_V=CLASSES_V,
        bos_id=0,
        name="tiny",
    )
