"""An attestation: the envelope, and the statement in it; written again, the statement is the same bytes."""

from __future__ import annotations

from harness.attest import signing, statement
from harness.errors import UsageError
from harness.report.model import Machine
from tests.fuzz.targets import refused

STRUCTS = (statement.Predicate, statement.SeedMeasured, statement.Policy, Machine)
WORDS = (
    *(b'"payload":', b'"payloadType":', b'"signatures":', b'"sig":', b'"keyid":', b"e30=", b"e30"),
    *(signing.PAYLOAD_TYPE.encode(), statement.PREDICATE_TYPE.encode(), b"[[[[", b"-_", b"+/"),
    *(f'"{name}":'.encode() for kind in STRUCTS for name in kind.__struct_encode_fields__),
)


def one(data: bytes) -> bool:
    """Read an envelope and its payload; what is no envelope is taken for a bare payload too."""
    try:
        payload = signing.opened(data, "envelope").payload
    except UsageError as error:
        refused(error, "envelope: ")
        payload = data
    try:
        said = statement.decode(payload, "statement")
    except UsageError as error:
        return refused(error, "statement: ")
    assert statement.encode(said) == payload
    return True
