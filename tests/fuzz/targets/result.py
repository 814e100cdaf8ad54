"""result.json, as another job left it: read back and written again, it says the same."""

from __future__ import annotations

from checks.contract import Finding
from harness.errors import UsageError
from harness.report import result

STRUCTS = (result.Result, result.Entry, result.Judgement, result.Place, result.Note, result.Commits)
WORDS = (
    *(f'"{name}":'.encode() for kind in STRUCTS for name in kind.__struct_fields__),
    *(f'"{name}":'.encode() for name in Finding.__annotations__),
    *(b'"PASS"', b'"NOT-RUN"', b"1e308", b"1e309", b"[[[[", b"\\ud800", b"18446744073709551616"),
)


def one(data: bytes) -> bool:
    try:
        read = result.decode(data, "result.json")
    except UsageError:
        return False
    encoded = result.encode(read)
    assert result.decode(encoded, "result.json") == read
    return True
