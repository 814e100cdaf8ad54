"""Signatures over statements: DSSE envelopes, signed and verified by securesystemslib with the user's keys.

Whether a signature is good depends on the envelope and on the public key that the verifier gives, on nothing
else: the key id in an envelope is a hint that anybody can write there, so every signature is tried with every
key. Nothing of a payload is read before that.

The library is an extra of this project and is imported when it is needed.

Source: DSSE 1.0 (secure-systems-lab/dsse, protocol.md); in-toto Attestation Framework, spec/v1/envelope.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from harness.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from securesystemslib.signer import CryptoSigner, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 1 << 24
MAX_KEY_BYTES = 1 << 16
MIN_RSA_BITS = 2048
INSTALL = "run `pip install '.[attest]'` in the project's folder"
KINDS = f"an Ed25519, ECDSA (P-256, P-384, P-521) or RSA (at least {MIN_RSA_BITS} bits) key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key that somebody trusts, and the file it was read from."""

    path: Path
    keyid: str
    key: SSlibKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An envelope, taken apart; nothing in it is to be believed until a key verified it."""

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]


class _Signature(msgspec.Struct, frozen=True):
    sig: str
    keyid: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: Annotated[tuple[_Signature, ...], msgspec.Meta(min_length=1, max_length=64)]


def private_key(path: Path, passphrase: Callable[[], bytes]) -> CryptoSigner:
    """Return what signs with the PEM private key at PATH; `passphrase` is asked where the file is encrypted.

    Raises UsageError where it is no such key, or the passphrase is not its own.
    """
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    pem = _pem(path, wanted="private")
    encrypted = b"ENCRYPTED" in pem
    secret = passphrase() if encrypted else None
    try:
        key = load_pem_private_key(pem, secret)
    except (ValueError, TypeError):
        raise UsageError(
            f"{path}: cannot be opened with this passphrase; give the key's own"
            if encrypted
            else f"{path}: not a PEM private key; give {KINDS}, as `openssl genpkey` writes it"
        ) from None
    except UnsupportedAlgorithm as error:
        raise _unsupported(path, error) from None
    return CryptoSigner(key, _key(path, key.public_key()))


def public_key(path: Path) -> PublicKey:
    """Return the PEM public key at PATH.

    Raises UsageError where it is no such key.
    """
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    pem = _pem(path, wanted="public")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError):
        raise UsageError(
            f"{path}: not a PEM public key; give {KINDS}, as `openssl pkey -pubout` writes it"
        ) from None
    except UnsupportedAlgorithm as error:
        raise _unsupported(path, error) from None
    return PublicKey(path=path, keyid=keyid(key), key=_key(path, key))


def keyid(key: PublicKeyTypes) -> str:
    """Return the SHA-256 of a public key's DER encoding (SubjectPublicKeyInfo), which openssl prints too."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def sign(payload: bytes, signer: CryptoSigner) -> bytes:
    """Return an envelope around a payload, as JSON: indented, sorted keys, newline at the end."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    said: dict[str, Any] = envelope.to_dict()
    return msgspec.json.format(msgspec.json.encode(said, order="sorted"), indent=2) + b"\n"


def read_envelope(path: Path) -> Signed:
    """Return the envelope at PATH.

    Raises UsageError where it is none, or holds something else than an in-toto statement.
    """
    if path.is_symlink() or not path.is_file():
        raise UsageError(f"{path}: no such file, or not a plain one; `harness attest` writes one")
    try:
        if path.stat().st_size > MAX_ENVELOPE_BYTES:
            raise UsageError(
                f"{path}: larger than any attestation; give what `harness attest` wrote"
            )
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; make it readable") from None
    return opened(data, str(path))


def opened(data: bytes, origin: str) -> Signed:
    """Return the envelope in `data`; `origin` names it in errors.

    Raises UsageError as `read_envelope` does.
    """
    try:
        said = msgspec.json.decode(data, type=_Envelope)
        payload = _unpacked(said.payload)
        signatures = tuple(_unpacked(each.sig) for each in said.signatures)
    except (msgspec.DecodeError, UnicodeError, RecursionError, binascii.Error) as error:
        raise UsageError(
            f"{origin}: not a DSSE envelope ({error}); give what `harness attest` wrote"
        ) from None
    if said.payload_type != PAYLOAD_TYPE:
        raise UsageError(
            f"{origin}: its payload is {said.payload_type[:80]!r}, not {PAYLOAD_TYPE}; "
            "give what `harness attest` wrote"
        )
    return Signed(payload=payload, payload_type=said.payload_type, signatures=signatures)


def signers(signed: Signed, keys: Sequence[PublicKey]) -> tuple[PublicKey, ...]:
    """Return those of `keys` that verify a signature of the envelope, each once, in the order given."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature

    signed_bytes = Envelope(signed.payload, signed.payload_type, {}).pae()

    def verifies(key: PublicKey, signature: bytes) -> bool:
        try:
            key.key.verify_signature(Signature(key.keyid, signature.hex()), signed_bytes)
        except UnverifiedSignatureError:
            return False
        return True

    found: dict[str, PublicKey] = {}
    for key in keys:
        if any(verifies(key, signature) for signature in signed.signatures):
            found.setdefault(key.keyid, key)
    return tuple(found.values())


def _require() -> None:
    try:
        import cryptography
        import securesystemslib.signer  # noqa: F401

        assert cryptography
    except ImportError:
        raise UsageError(
            f"securesystemslib is not installed, which signs and verifies; {INSTALL}"
        ) from None


def _pem(path: Path, *, wanted: str) -> bytes:
    try:
        with path.open("rb") as file:
            pem = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--key {path}: {error.strerror}; name a PEM file") from None
    if len(pem) > MAX_KEY_BYTES:
        raise UsageError(f"--key {path}: larger than any key; name a PEM file")
    private = b"PRIVATE KEY-----" in pem
    if wanted == "public" and private:
        raise UsageError(
            f"--key {path}: is a private key; give its public one (`openssl pkey -in {path} -pubout`)"
        )
    if wanted == "private" and not private and b"PUBLIC KEY-----" in pem:
        raise UsageError(f"--key {path}: is a public key, which cannot sign; give the private one")
    return pem


def _key(path: Path, key: PublicKeyTypes) -> SSlibKey:
    """Return a public key as the library verifies with it.

    Raises UsageError where it is of a kind that is not used here.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from securesystemslib.signer import KEY_TYPE_ECDSA, KEY_TYPE_ED25519, KEY_TYPE_RSA, SSlibKey

    try:
        known = SSlibKey.from_crypto(key, keyid=keyid(key))
    except ValueError as error:
        raise _unsupported(path, error) from None
    short = isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS
    if short or known.keytype not in (KEY_TYPE_ECDSA, KEY_TYPE_ED25519, KEY_TYPE_RSA):
        raise UsageError(f"--key {path}: a key that is not used here; give {KINDS}")
    return known


def _unsupported(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"--key {path}: a key that is not used here ({type(error).__name__}); give {KINDS}"
    )


def _unpacked(text: str) -> bytes:
    """Decode base64 of either alphabet, as DSSE asks."""
    return base64.b64decode(text.encode().translate(bytes.maketrans(b"-_", b"+/")), validate=True)
