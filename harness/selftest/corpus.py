"""What an attack says of itself: CORPUS/<name>/expected.toml beside `cheat/` and `honest/`.

Unknown keys, unknown checks, expressions that do not compile and folders that are not there are refused, in
one sentence with file, field and remedy: a typo must never make an attack look caught.

Does not judge and starts nothing.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

import harness
from checks import ORDER
from harness.errors import UsageError
from harness.manifest import FILE_NAME as MANIFEST
from harness.manifest import path_problem
from harness.ruleset import Phases, Seconds
from harness.sandbox.guarantees import KNOWN

FILE_NAME = "expected.toml"
REFUSED = "exit 2"
"""What catches an attack that is refused before anything of it starts."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Texts = tuple[Text, ...]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Data(_Section, frozen=True):
    """The data folder: which one both submissions get, and what is wrong with the cheat's.

    A folder that is spoilt is consistent in everything that is not named here: who can write text can write
    digests. Only `edited_val_tokens` leaves a digest that does not fit.
    """

    set: Literal["tiny", "spoken"] = "tiny"
    """`tiny` has 64 tokens and no tokenizer; `spoken` has one of 512 pieces, and score.bytes is required."""
    text_replaced: tuple[tuple[Text, str], ...] = ()
    """The stored validation text has these put for those, and is counted so; the tokens are of the true
    text."""
    stated_bytes_factor: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    """dataset.json states the bytes of the validation text times this."""
    dropped_val_tokens: Annotated[int, msgspec.Meta(gt=0)] | None = None
    """So many tokens are missing at the end of the validation shards; the text is whole."""
    reversed_documents: bool = False
    """The validation shards hold the documents last to first; the text holds them in order."""
    edited_val_tokens: Annotated[int, msgspec.Meta(gt=0)] | None = None
    """So many tokens of the first validation shard are another, under the digest of what was there."""

    @property
    def spoilt(self) -> bool:
        """Return whether the cheat's data differ from its twin's."""
        return self != Data(set=self.set)


class Expected(_Section, frozen=True):
    """One expected.toml."""

    says: Text
    """What the attack does, in one sentence."""
    source: Annotated[Texts, msgspec.Meta(min_length=1)]
    """Where it was seen: pull requests, conditions, classes (docs/attacks.md)."""
    caught_by: Texts | None = None
    """The checks that FAIL, all of them and no other."""
    one_of: Texts = ()
    """Checks of which exactly one FAILs: the first question decides which."""
    also: Texts = ()
    """Checks that FAIL or not, depending on which positions are drawn."""
    consequences: Texts = ()
    """Checks that may be left with too little to judge: ERROR or NOT-RUN."""
    messages: dict[Text, Text] = msgspec.field(default_factory=dict)
    """Check to a regular expression that is found in its message."""
    phases: dict[Text, Seconds] = msgspec.field(default_factory=dict)
    """Budgets of the ruleset that are changed, in seconds, so that waiting for them is short."""
    needs: str = ""
    """The guarantee without which the cheat escapes: it is NOT-RUN on a machine that does not hold it."""
    refused: str = ""
    """Instead of `caught_by`: an expression for the one sentence that refuses it with exit code 2."""
    links: dict[Text, Text] = msgspec.field(default_factory=dict)
    """Symbolic links that are laid before the trial: path below the attack's folder to target."""
    data: Data = msgspec.field(default_factory=Data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One folder of the corpus."""

    folder: Path
    expected: Expected

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return self.folder.name

    @property
    def cheat(self) -> Path | None:
        """Return the submission that must be caught: the honest one where only the data are spoilt.

        None where the entry is a legal thing that looks odd.
        """
        if (self.folder / "cheat").is_dir():
            return self.folder / "cheat"
        return self.honest if self.expected.data.spoilt else None

    @property
    def honest(self) -> Path:
        """Return the submission that must pass, on sound data."""
        return self.folder / "honest"

    @property
    def catchers(self) -> tuple[str, ...]:
        """Return what is expected to catch it, as it is shown: all of `caught_by`, or `one_of`."""
        if self.expected.refused:
            return (REFUSED,)
        return self.expected.caught_by or self.expected.one_of


def find_corpus(given: Path | None = None) -> Path:
    """Return the corpus: the one given, the installed package's, or the checkout's.

    Raises UsageError where there is none.
    """
    package = Path(harness.__file__).parent
    places = [given] if given else [package / "attacks", package.parent / "tests" / "attacks"]
    for place in places:
        if any(place.glob(f"*/{FILE_NAME}")):
            return place
    if given:
        raise UsageError(
            f"--corpus {given}: no folder in it has an {FILE_NAME}; name a folder of attacks"
        )
    raise UsageError(f"{package}: came without its corpus; name a folder of attacks with --corpus")


def read_corpus(folder: Path, names: Sequence[str] = ()) -> list[Attack]:
    """Return the attacks of a corpus by name, or those that are named, each once.

    Raises UsageError for a name that is not there, and for what `read_attack` refuses. A folder that has
    submissions but says nothing of them is refused too.
    """
    known = sorted(
        {path.parent.name for path in folder.glob(f"*/{FILE_NAME}")}
        | {path.parents[1].name for path in folder.glob(f"*/*/{MANIFEST}")}
    )
    for name in names:
        if name not in known:
            raise UsageError(f"no attack {name!r} in {folder}; {_nearest(name, known)}")
    return [read_attack(folder / name) for name in known if not names or name in names]


def read_attack(folder: Path) -> Attack:
    """Read FOLDER/expected.toml and look at what lies beside it; raises UsageError."""
    path = folder / FILE_NAME
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        expected = msgspec.convert(raw, Expected)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: {reason}; an attack is described there") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {error}{_hint(str(error))}") from None
    attack = Attack(folder=folder, expected=expected)
    problem = _problem(attack)
    if problem:
        raise UsageError(f"{path}: {problem}")
    return attack


def _problem(attack: Attack) -> str | None:
    """Return what is wrong with an attack, field and remedy, or None."""
    return _said(attack.expected) or _checks(attack.expected) or _folders(attack)


def _said(expected: Expected) -> str | None:
    if not expected.says.endswith(".") or "\n" in expected.says:
        return "says: write one sentence on one line, with a full stop"
    if not all(text.isprintable() for text in (expected.says, *expected.source)):
        return "says, source: have characters that do not print; leave them out"
    for phase in expected.phases:
        if phase not in Phases.__struct_fields__:
            return f"phases: no budget {phase!r}; {_nearest(phase, Phases.__struct_fields__)}"
    if expected.needs and expected.needs not in KNOWN:
        return f"needs: no guarantee {expected.needs!r}; {_nearest(expected.needs, KNOWN)}"
    patterns = {f"messages.{check}": text for check, text in expected.messages.items()}
    for field, pattern in {**patterns, "refused": expected.refused}.items():
        try:
            re.compile(pattern)
        except re.error as error:
            return f"{field}: not a regular expression: {error}; mend it"
    for place in expected.links:
        if path_problem(place):
            return f"links: {place!r} {path_problem(place)}"
    return None


def _checks(expected: Expected) -> str | None:
    caught = expected.caught_by or ()
    for field in ("caught_by", "one_of", "also", "consequences", "messages"):
        for check in getattr(expected, field) or ():
            if check not in ORDER:
                return f"{field}: no check {check!r}; {_nearest(check, ORDER)}"
    for check in caught:
        if check in expected.one_of or check in expected.also:
            return f"caught_by: {check} is named under one_of or also too; name it once"
    for check in expected.messages:
        if check not in (*caught, *expected.one_of, *expected.also):
            return f"messages: {check} is not expected to FAIL; name it where it is"
    for check in (*caught, *expected.one_of):
        if check not in expected.messages:
            return f"messages: say what {check} must say"
    return None


def _folders(attack: Attack) -> str | None:
    expected = attack.expected
    if not re.fullmatch(r"[a-z0-9_]+", attack.name):
        return f"the folder is called {attack.name!r}; use small letters, digits and underscores"
    if not (attack.honest / MANIFEST).is_file():
        return f"honest/{MANIFEST}: no such file; every attack has an honest twin"
    fails = expected.caught_by is not None or bool(expected.one_of)
    if fails and expected.refused:
        return "refused: is given beside caught_by or one_of; an attack that is refused never runs"
    if attack.cheat is None:
        for field in Expected.__struct_fields__:
            if field not in _LEGAL and getattr(expected, field):
                return f"{field}: there is no cheat/ that it could be said of; add it, or leave this out"
        return None
    if not (fails or expected.refused):
        return (
            "caught_by: is missing; name the checks that FAIL, or say under refused what refuses it"
        )
    if not expected.caught_by and not expected.one_of and not expected.refused:
        return "caught_by: is empty, and so is one_of; name the checks that FAIL"
    if not (attack.cheat / MANIFEST).is_file():
        return f"cheat/{MANIFEST}: no such file; a submission is a folder with one"
    return None


_LEGAL = ("says", "source", "phases", "links", "data")
"""Keys that an entry without a cheat may have."""


def _hint(message: str) -> str:
    """Return a hint for an unknown field, in words of the table it stands in."""
    found = re.search(r"unknown field `([^`]*)`(.*)", message)
    if not found:
        return ""
    table = Data if "$.data" in found[2] else Expected
    return f"; {_nearest(found[1], table.__struct_fields__)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(names)}" if len(names) < 20 else "see `harness selftest --list`"
