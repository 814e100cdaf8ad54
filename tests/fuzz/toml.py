"""What the three readers of TOML have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from harness.errors import UsageError
from tests.fuzz.targets import refused

T = TypeVar("T")
ORIGIN = "x.toml"
WORDS = (
    *(b"= [", b"= {", b"[[", b'"""', b"'''", b"\\u0000", b"\r\n"),
    *(b"inf", b"nan", b"1e400", b"../"),
)


def parsed(parse: Callable[[str, str], T], refusal: type[UsageError], data: bytes) -> T | None:
    """Return what a parser made of the bytes, or None where it refused them in a sentence."""
    try:
        text = data.decode()
    except UnicodeDecodeError:  # refused where files are read, before the parser
        return None
    try:
        return parse(text, ORIGIN)
    except refusal as error:
        refused(error, f"{ORIGIN}: ")
        return None


def comes_back(record: object) -> None:
    """Check that JSON holds the record: it will go into a report."""
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


def words(*structs: type[msgspec.Struct]) -> tuple[bytes, ...]:
    """Return the field names of TOML tables."""
    fields = {field for struct in structs for field in struct.__struct_fields__}
    return (*WORDS, *(field.encode() for field in sorted(fields)))
