"""Reading what some version of this project wrote: a newer schema is refused by name, not by an odd field.

A file names its schema as "major.minor". The same major and an older minor is read, with defaults for what
it lacks; anything newer may hold what this version would misread.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from harness.errors import NewerSchema, UsageError

T = TypeVar("T")


class _Named(msgspec.Struct):
    schema_version: str


def read_versioned(data: bytes, kind: type[T], *, known: str, origin: str) -> T:
    """Return the record of type `kind` in `data`, JSON of schema `known` or an older minor of it.

    Raises UsageError, which names `origin`, where it is not JSON, not such a record, or of another schema;
    NewerSchema is one.
    """
    try:
        said = msgspec.json.decode(data, type=_Named).schema_version
        major, minor = _parts(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{origin}: {error}; give a file that harness wrote") from None
    ours = _parts(known)
    if (major, minor) > ours:
        raise NewerSchema(
            f"{origin}: schema {said} is newer than {known}, which this harness reads; "
            "install a newer harness"
        )
    if major < ours[0]:
        raise UsageError(f"{origin}: schema {said} is older than {known}; have it written again")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{origin}: {error}; give a file that harness wrote") from None


def _parts(version: str) -> tuple[int, int]:
    found = re.fullmatch(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})", version)
    if found is None:
        raise msgspec.ValidationError("schema_version is not of the form 1.0")
    return int(found[1]), int(found[2])
