"""report.json: read back and written again, it says the same."""

from __future__ import annotations

from checks.contract import Finding, PhaseTime
from harness.errors import UsageError
from harness.report import model

STRUCTS = (model.Report, model.SeedResult, model.Guarantee, model.ArtifactFile, model.Machine)
WORDS = (
    *(f'"{name}":'.encode() for kind in STRUCTS for name in kind.__struct_fields__),
    *(f'"{name}":'.encode() for kind in (Finding, PhaseTime) for name in kind.__annotations__),
    *(b'"PASS"', b'"NOT-RUN"', b"1e308", b"1e309", b"[[[[", b"\\ud800", b"18446744073709551616"),
)


def one(data: bytes) -> bool:
    try:
        report = model.decode(data)
    except UsageError:
        return False
    encoded = model.encode(report)
    again = model.decode(encoded)
    assert again == report
    assert model.encode(again) == encoded
    return True
