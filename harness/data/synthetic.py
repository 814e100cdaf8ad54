"""The embedded corpus: text of an invented language, the same bytes on every machine.

Words are built from syllables and drawn by Zipf's law; nouns and verbs inflect and agree; documents have
topics, paragraphs, names, years and turns of phrase of their own. What makes an online n-gram model or a
cache worth something is put in on purpose: names, phrases and whole sentences come back inside a document,
often further away than a short attention window sees, and again in other documents of the same *story*. The
stories of the validation text do not occur in the train text.

All randomness is SHAKE-256 in counter mode (FIPS 202) and all arithmetic is on integers: no libm, no hash
seed, no generator whose stream a library may change.

Does not imitate any natural language: what wins here need not win on real text.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count

VERSION = "synthetic-1"
TRAIN_DOCUMENTS = 1240
VAL_DOCUMENTS = 70
KEYS = {"train": "train", "val": "val, drawn anew"}
"""What the two texts are drawn from. The reference submission's sizes were once chosen on the validation text
that "val" gives, so the one in use is another."""

Draw = Callable[[], int]
"""Returns the next 16-bit number of a stream."""
Table = list[str]
"""Strings, each repeated in proportion to its probability; TABLE entries."""

TABLE_BITS = 12
TABLE = 1 << TABLE_BITS
SHIFT = 16 - TABLE_BITS

TOPICS = 36
DOCUMENTS_A_STORY = 5

ONSETS = ["t", "k", "s", "m", "n", "r", "l", "d", "v", "p", "h", "g", "st", "tr", "br", "sh"]
NUCLEI = ["a", "e", "i", "o", "u", "ai", "ou", "ö", "å"]
CODAS = ["", "n", "", "r", "", "l", "s", "m", "", "nd", "rt", "sh"]
SYLLABLES = 96
SYMBOLS = ["☉", "†", "№", "→"]


def draws(key: str) -> Draw:
    """Return a stream of uniform 16-bit numbers that depends on `key` and nothing else.

    Source: SHAKE-256 (FIPS 202), one digest for each 4096 numbers.
    """

    def block(index: int) -> array[int]:
        digest = hashlib.shake_256(f"{VERSION}/{key}/{index}".encode()).digest(8192)
        numbers = array("H", digest)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    return chain.from_iterable(map(block, count())).__next__


def below(draw: Draw, limit: int) -> int:
    """Return a number in 0..limit-1; limit <= 65536."""
    return draw() * limit >> 16


def zipf_table(words: Sequence[str], offset: int, size: int = TABLE) -> Table:
    """Return `size` entries in which word r has a share in proportion to 1 / (r + offset).

    Every word has at least one entry, so len(words) must be well below `size`.
    """
    weights = [(1 << 40) // (rank + offset) for rank in range(len(words))]
    total = sum(weights)
    free = size - len(words)
    table: Table = []
    for word, weight in zip(words, weights, strict=True):
        table += [word] * (1 + free * weight // total)
    return table + [words[0]] * (size - len(table))


class Lexicon:
    """The words of the language, made once: the train and the validation text share it."""

    def __init__(self) -> None:
        """Build every word class and the tables of each topic."""
        draw = draws("lexicon")
        self._seen: set[str] = set()
        self._fixed: dict[str, Table] = {}
        self.syllables = self._syllables(draw)
        self.particles = [self._word(draw, 1) for _ in range(24)]
        self.nouns = [self._word(draw, 1 + below(draw, 3)) for _ in range(1400)]
        self.verbs = [self._word(draw, 1 + below(draw, 2)) for _ in range(520)]
        self.adjectives = [self._word(draw, 1 + below(draw, 3)) for _ in range(420)]
        self.given = [self._word(draw, 2).capitalize() for _ in range(500)]
        self.idioms = [self._idiom(draw) for _ in range(240)]
        self.topics = [self._topic(index) for index in range(TOPICS)]

    @staticmethod
    def _syllables(draw: Draw) -> Table:
        """Return the sounds of the language, most frequent first and most often."""
        sounds: list[str] = []
        while len(sounds) < SYLLABLES:
            onset = ONSETS[min(below(draw, len(ONSETS)), below(draw, len(ONSETS)))]
            nucleus = NUCLEI[min(below(draw, len(NUCLEI)), below(draw, len(NUCLEI)))]
            sound = onset + nucleus + CODAS[below(draw, len(CODAS))]
            if sound not in sounds:
                sounds.append(sound)
        return zipf_table(sounds, 6)

    def sounds(self, draw: Draw, syllables: int) -> str:
        """Return so many syllables, frequent ones being frequent."""
        return "".join([self.syllables[draw() >> SHIFT] for _ in range(syllables)])

    def _word(self, draw: Draw, syllables: int) -> str:
        """Return a word that did not exist; it grows where the short ones are taken."""
        while True:
            word = self.sounds(draw, syllables)
            if word not in self._seen:
                self._seen.add(word)
                return word
            syllables += below(draw, 4) == 0

    def fixed(self, piece: str) -> Table:
        """Return the table of a template's piece that is not drawn: a particle's number, or a mark."""
        if piece not in self._fixed:
            number = piece.lstrip(",")
            if number.isdigit():
                text = f"{',' if piece.startswith(',') else ''} {self.particles[int(number)]}"
            else:
                text = f" {piece}" if piece in "(“" else piece
            self._fixed[piece] = [text] * TABLE
        return self._fixed[piece]

    def _idiom(self, draw: Draw) -> str:
        noun = self.nouns[below(draw, 300)]
        verb = self.verbs[below(draw, 120)]
        particle = self.particles[below(draw, 24)]
        last = self.nouns[below(draw, 300)]
        return f" {particle} {noun} {verb} {self.particles[below(draw, 8)]} {last}"

    def _topic(self, index: int) -> dict[str, Table]:
        """Return a table for each slot: three quarters the topic's own words, one quarter anybody's."""
        draw = draws(f"topic/{index}")
        nouns = self._mixture(draw, self.nouns, 90)
        verbs = self._mixture(draw, self.verbs, 45)
        adjectives = self._mixture(draw, self.adjectives, 40)
        return {
            "N": [f" {word}" for word in nouns],
            "NN": [f" {plural(word)}" for word in nouns],
            "V": [f" {third_person(word)}" for word in verbs],
            "VV": [f" {word}" for word in verbs],
            "P": [f" {past(word)}" for word in verbs],
            "A": [f" {word}" for word in adjectives],
            "D": [f" {word}li" for word in adjectives],
            "I": zipf_table(self.idioms, 3),
        }

    def _mixture(self, draw: Draw, words: list[str], own: int) -> Table:
        chosen = [words[below(draw, len(words))] for _ in range(own)]
        quarter = TABLE // 4
        return zipf_table(chosen, 2, TABLE - quarter) + zipf_table(
            words[: quarter * 3 // 4], 4, quarter
        )


def plural(noun: str) -> str:
    """Return the plural: -es after a hiss, -n after a vowel, else -en."""
    if noun.endswith(("s", "sh", "z")):
        return noun + "es"
    return noun + ("n" if noun[-1] in "aeiouöå" else "en")


def third_person(verb: str) -> str:
    """Return the form that goes with a singular noun."""
    return verb + ("r" if verb[-1] in "aeiouöå" else "ar")


def past(verb: str) -> str:
    """Return the past form."""
    return verb + ("d" if verb[-1] in "aeiouöå" else "ed")


# Slots in capitals are drawn; everything else is a particle by number, or stands as written.
TEMPLATES = [
    "0 A N V 0 N 1 NAME",
    "NAME P 0 N 1 0 A N",
    "0 NN VV D 2 0 N 1 0 N",
    "3 0 N V 4 0 N P 0 A NN",
    "PHRASE V 0 N 2 NAME",
    "NAME 5 0 A N VV 0 NN 1 PHRASE",
    "6 YEAR 0 N P 0 A N 1 0 N",
    "0 N 1 0 N V D ,7 0 NN VV I",
    "8 0 NN VV I ,4 PHRASE P 2 0 A N",
    "0 A NN VV 1 0 N 5 0 N V D",
    "9 0 N V ,9 0 N P ,5 NAME P PHRASE",
    "PHRASE P 2 0 A N ,5 0 NN VV 0 A NN",
    "NAME , 10 A N 1 0 N , P D I",
    "0 N V I",
    "11 0 A N P ,12 0 NN 1 NAME VV 0 N",
    "NUMBER NN VV 2 0 N 1 NAME 6 YEAR",
    "0 N ( 13 N 1 YEAR ) P D 2 0 A N",
    "14 V 0 A A N 2 PHRASE",
    "NAME P : “ 15 0 A N V 0 N !”",
    "16 0 N 17 NAME V D 2 0 N , 5 0 NN VV I",
    "18 0 NN VV ,19 0 N V 1 A NN",
    "A NN 5 A NN VV 0 N 1 PHRASE",
    "0 A N V 20 0 N 21 P 0 N D",
    "22 A 23 0 N 1 NAME , 0 N V",
]
ENDINGS = ["."] * 212 + ["?"] * 24 + ["!"] * 14 + ["…"] * 6


class Story:
    """Names and turns of phrase that several documents share."""

    def __init__(self, lexicon: Lexicon, key: str) -> None:
        """Invent the story's names and phrases; they are its own."""
        draw = draws(f"story/{key}")
        self.topic = below(draw, TOPICS)
        self.names = [invent_name(draw, lexicon) for _ in range(4)]
        self.phrases = [invent_phrase(draw, lexicon, self.topic) for _ in range(5)]


def invent_name(draw: Draw, lexicon: Lexicon) -> tuple[str, str]:
    """Return a full name and its short form; the surname is new, the given name may be met again."""
    surname = lexicon.sounds(draw, 2 + below(draw, 2)).capitalize()
    return f" {lexicon.given[below(draw, 500)]} {surname}", f" {surname}"


def invent_phrase(draw: Draw, lexicon: Lexicon, topic: int) -> str:
    """Return three to six words of the topic and of the whole language, as a noun phrase."""
    tables = lexicon.topics[topic]
    noun = lexicon.nouns[below(draw, 1400)]
    other = tables["NN"][draw() >> SHIFT]
    adjective = lexicon.adjectives[below(draw, 420)]
    article, of = lexicon.particles[0], lexicon.particles[1]
    shape = below(draw, 4)
    if shape == 0:
        return f" {article} {adjective} {noun}"
    if shape == 1:
        return f" {article} {noun} {of}{other}"
    if shape == 2:
        return f" {article} {adjective} {noun} {of}{other}"
    second = lexicon.nouns[below(draw, 1400)]
    return f" {article} {noun} {of} {article} {second} {of}{other}"


def document(lexicon: Lexicon, story: Story, key: str) -> str:
    """Return one document of 20 to 129 sentences in paragraphs."""
    draw = draws(f"document/{key}")
    tables = _document_tables(lexicon, story, draw)
    patterns = [_compile(template, tables, lexicon) for template in TEMPLATES]
    # A document prefers some of the patterns: style is something to learn from the history.
    liked = [patterns[min(below(draw, 24), below(draw, 24))] for _ in range(12)] + patterns[:4]
    sentences: list[str] = []
    paragraph: list[str] = []
    paragraphs: list[str] = []
    length = 20 + min(below(draw, 110), below(draw, 160))
    while len(sentences) < length:
        if len(sentences) > 30 and draw() < 3300:
            sentence = sentences[below(draw, len(sentences) - 20)]
        else:
            pattern = liked[draw() >> 12]
            sentence = _finish("".join([table[draw() >> SHIFT] for table in pattern]), draw)
        sentences.append(sentence)
        paragraph.append(sentence)
        if draw() < 9000:
            paragraphs.append(" ".join(paragraph))
            paragraph = []
    if paragraph:
        paragraphs.append(" ".join(paragraph))
    title = f"{SYMBOLS[below(draw, 4)]}{story.phrases[below(draw, 5)]} {1 + below(draw, 40)}"
    return "\n".join([title, *paragraphs])


def _document_tables(lexicon: Lexicon, story: Story, draw: Draw) -> dict[str, Table]:
    """Return the topic's tables with the document's own names, phrases, years and numbers."""
    topic = story.topic if draw() < 49152 else below(draw, TOPICS)
    names = [*story.names[:3], *(invent_name(draw, lexicon) for _ in range(3))]
    order = [names[below(draw, 6)] for _ in range(5)] + names
    phrases = [*story.phrases, *(invent_phrase(draw, lexicon, topic) for _ in range(6))]
    favourites = [phrases[below(draw, 11)] for _ in range(4)] + phrases
    years = [f" {1200 + below(draw, 820)}" for _ in range(4)]
    numbers = [f" {_thousands(10 + below(draw, 9990))}" for _ in range(12)]
    spoken = [form for full, short in order for form in (short, full)]
    return {
        **lexicon.topics[topic],
        "NAME": zipf_table(spoken, 2),
        "PHRASE": zipf_table(favourites, 2),
        "YEAR": zipf_table(years, 1),
        "NUMBER": zipf_table(numbers, 1),
    }


def _compile(template: str, tables: dict[str, Table], lexicon: Lexicon) -> list[Table]:
    """Return one table for each piece of the template; what is fixed is a table of one string."""
    return [tables.get(piece) or lexicon.fixed(piece) for piece in template.split()]


def _finish(words: str, draw: Draw) -> str:
    """Return the sentence with its capital and its end."""
    words = words.replace("( ", "(").replace("“ ", "“").lstrip()
    return words[0].upper() + words[1:] + ENDINGS[draw() >> 8]


def _thousands(number: int) -> str:
    return f"{number // 1000},{number % 1000:03d}" if number >= 1000 else str(number)


def documents(lexicon: Lexicon, split: str) -> Iterator[str]:
    """Yield the documents of "train" or "val" in order; their stories are told in turn, interleaved."""
    total = TRAIN_DOCUMENTS if split == "train" else VAL_DOCUMENTS
    key = KEYS[split]
    stories = [Story(lexicon, f"{key}/{n}") for n in range(-(-total // DOCUMENTS_A_STORY))]
    draw = draws(f"order/{key}")
    for number in range(total):
        story = stories[below(draw, len(stories))]
        yield document(lexicon, story, f"{key}/{number}")
