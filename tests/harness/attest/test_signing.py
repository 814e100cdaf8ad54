"""Envelopes and keys: what verifies depends on the bytes and the key that was given, on nothing else."""

import base64
import json
import sys

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.attest import signing
from harness.errors import UsageError
from tests.harness.attest.conftest import PASSPHRASE, write_pair

PAYLOAD = b'{"any": "bytes"}'
KINDS = ["ed25519", "p256", "p384", "rsa"]


def signed(pair, payload=PAYLOAD):
    return json.loads(signing.sign(payload, signing.private_key(pair.private, lambda: b"")))


def read(tmp_path, envelope):
    path = tmp_path / "envelope.json"
    path.write_text(envelope if isinstance(envelope, str) else json.dumps(envelope))
    return signing.read_envelope(path)


def signers(envelope, *pairs):
    found = signing.signers(envelope, [signing.public_key(pair.public) for pair in pairs])
    return [key.path for key in found]


def by_hand(pair, payload, payload_type, signature):
    """Slow oracle: pre-authentication encoding from the specification's text, and the bare primitive."""
    said = payload_type.encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(said), said, len(payload), payload)
    public = pair.key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, encoded)
    elif isinstance(public, rsa.RSAPublicKey):
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        public.verify(signature, encoded, pss, hashes.SHA256())
    else:
        digest = hashes.SHA256() if public.curve.name == "secp256r1" else hashes.SHA384()
        public.verify(signature, encoded, ec.ECDSA(digest))


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_is_that_of_the_specification(pairs, kind, tmp_path):
    envelope = signed(pairs[kind])
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    (signature,) = envelope["signatures"]
    assert signature["keyid"] == signing.public_key(pairs[kind].public).keyid
    raw = base64.b64decode(signature["sig"])
    by_hand(pairs[kind], PAYLOAD, "application/vnd.in-toto+json", raw)
    with pytest.raises(InvalidSignature):
        by_hand(pairs[kind], PAYLOAD + b" ", "application/vnd.in-toto+json", raw)
    opened = read(tmp_path, envelope)
    assert opened.payload == PAYLOAD
    assert signers(opened, pairs[kind], pairs["other"]) == [pairs[kind].public]
    assert signers(opened, pairs["other"]) == []


@given(data=st.data())
@settings(max_examples=60)
def test_no_other_byte_verifies(pairs, tmp_path_factory, data):
    payload = data.draw(st.binary(max_size=40))
    envelope = signed(pairs["ed25519"], payload)
    raw = base64.b64decode(envelope["signatures"][0]["sig"])
    part, target = data.draw(
        st.sampled_from([("payload", payload), ("sig", raw)] if payload else [("sig", raw)])
    )
    at, flip = data.draw(st.integers(0, len(target) - 1)), data.draw(st.integers(1, 255))
    changed = bytes([*target[:at], target[at] ^ flip, *target[at + 1 :]])
    opened = signing.Signed(
        payload=changed if part == "payload" else payload,
        payload_type=signing.PAYLOAD_TYPE,
        signatures=(changed if part == "sig" else raw,),
    )
    assert signers(opened, pairs["ed25519"]) == []


@given(data=st.data())
@settings(max_examples=60)
def test_the_signers_are_the_keys_that_signed(pairs, data):
    """Against the plain definition: whoever is in both sets, in the order of the keys given, each once."""
    who = data.draw(st.lists(st.sampled_from(["ed25519", "other", "p256"]), max_size=4))
    asked = data.draw(st.lists(st.sampled_from(["ed25519", "other", "p256"]), max_size=4))
    signatures = [base64.b64decode(signed(pairs[name])["signatures"][0]["sig"]) for name in who]
    junk = data.draw(st.lists(st.binary(max_size=80), max_size=3))
    opened = signing.Signed(
        payload=PAYLOAD,
        payload_type=signing.PAYLOAD_TYPE,
        signatures=tuple(data.draw(st.permutations([*signatures, *junk]))),
    )
    expected = [pairs[name].public for name in dict.fromkeys(asked) if name in who]
    assert signers(opened, *(pairs[name] for name in asked)) == expected


@pytest.mark.parametrize("keyid", ["", "the other's", "ünïcode", "0" * 64, None])
def test_a_key_id_is_a_hint_and_no_more(pairs, tmp_path, keyid):
    """Whatever an envelope calls its signer, the key that verifies is the one that signed."""
    envelope = signed(pairs["ed25519"])
    if keyid is None:
        del envelope["signatures"][0]["keyid"]
    else:
        other = signing.public_key(pairs["other"].public).keyid
        envelope["signatures"][0]["keyid"] = other if keyid == "the other's" else keyid
    opened = read(tmp_path, envelope)
    assert signers(opened, pairs["other"], pairs["ed25519"]) == [pairs["ed25519"].public]
    assert signers(opened, pairs["other"]) == []


def test_url_safe_base64_is_read_too(pairs, tmp_path):
    payload = bytes(range(256))
    envelope = signed(pairs["ed25519"], payload)
    safe = str.maketrans("+/", "-_")
    envelope["payload"] = envelope["payload"].translate(safe)
    envelope["signatures"][0]["sig"] = envelope["signatures"][0]["sig"].translate(safe)
    assert "_" in envelope["payload"]
    opened = read(tmp_path, envelope)
    assert opened.payload == payload
    assert signers(opened, pairs["ed25519"]) == [pairs["ed25519"].public]


GOOD = {"payload": "e30=", "payloadType": signing.PAYLOAD_TYPE, "signatures": [{"sig": "AAAA"}]}


@pytest.mark.parametrize(
    ("envelope", "says"),
    [
        ("", "not a DSSE envelope"),
        ("[]", "not a DSSE envelope"),
        ("[" * 100_000, "not a DSSE envelope"),
        ('{"payload": ' * 50_000, "not a DSSE envelope"),
        ({}, "missing required field `payload`"),
        (GOOD | {"signatures": []}, "not a DSSE envelope"),
        (GOOD | {"signatures": [{"sig": "AAAA"}] * 65}, "not a DSSE envelope"),
        (GOOD | {"signatures": [{"keyid": "a"}]}, "missing required field `sig`"),
        (GOOD | {"payload": 1}, "not a DSSE envelope"),
        (GOOD | {"payload": "e30"}, "not a DSSE envelope"),
        (GOOD | {"payload": "e30=\n"}, "not a DSSE envelope"),
        (GOOD | {"payload": "é30="}, "not a DSSE envelope"),
        (GOOD | {"signatures": [{"sig": "?"}]}, "not a DSSE envelope"),
        (GOOD | {"payloadType": "application/json"}, "its payload is 'application/json', not"),
        (GOOD | {"payloadType": "\x1b[2J"}, r"its payload is '\\x1b[2J', not"),
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(tmp_path, envelope, says):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, envelope)
    assert says.replace("\\\\", "\\") in str(caught.value)
    assert "give what `harness attest` wrote" in str(caught.value)


def test_an_envelope_is_a_plain_file_of_a_plain_size(tmp_path):
    with pytest.raises(UsageError, match="no such file, or not a plain one"):
        signing.read_envelope(tmp_path)
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="no such file, or not a plain one"):
        signing.read_envelope(tmp_path / "link")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(signing.MAX_ENVELOPE_BYTES + 1)
    with pytest.raises(UsageError, match="larger than any attestation"):
        signing.read_envelope(tmp_path / "huge")


# --- keys ---


def test_a_passphrase_is_asked_for_when_it_is_needed(pairs, encrypted):
    asked = []
    signing.private_key(pairs["ed25519"].private, lambda: asked.append(1) or b"")
    assert not asked
    signer = signing.private_key(encrypted, lambda: PASSPHRASE)
    assert signer.public_key.keyid == signing.public_key(pairs["ed25519"].public).keyid
    with pytest.raises(UsageError, match="cannot be opened with this passphrase"):
        signing.private_key(encrypted, lambda: b"wrong")
    with pytest.raises(UsageError, match="cannot be opened with this passphrase"):
        signing.private_key(encrypted, lambda: b"")


def test_private_and_public_are_not_taken_for_each_other(pairs):
    with pytest.raises(UsageError, match=r"is a private key; give its public one \(`openssl pkey"):
        signing.public_key(pairs["ed25519"].private)
    with pytest.raises(UsageError, match="is a public key, which cannot sign"):
        signing.private_key(pairs["ed25519"].public, lambda: b"")


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: dsa.generate_private_key(1024),
        x25519.X25519PrivateKey.generate,
    ],
    ids=["short rsa", "secp256k1", "dsa", "x25519"],
)
def test_keys_of_other_kinds_are_refused(tmp_path, make):
    pair = write_pair(tmp_path, "odd", make())
    with pytest.raises(UsageError, match="a key that is not used here"):
        signing.private_key(pair.private, lambda: b"")
    with pytest.raises(UsageError, match="a key that is not used here"):
        signing.public_key(pair.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "\x00" * 70_000,
    ],
)
def test_what_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "key.pem"
    path.write_text(text)
    with pytest.raises(UsageError):
        signing.public_key(path)
    with pytest.raises(UsageError):
        signing.private_key(path, lambda: b"")
    with pytest.raises(UsageError, match="No such file or directory; name a PEM file"):
        signing.public_key(tmp_path / "absent")
    with pytest.raises(UsageError, match="Is a directory; name a PEM file"):
        signing.public_key(tmp_path)


@pytest.mark.parametrize("missing", ["securesystemslib", "securesystemslib.signer", "cryptography"])
def test_without_the_library_there_is_a_sentence(pairs, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"not installed.*; run `pip install '\.\[attest\]'`"):
        signing.public_key(pairs["ed25519"].public)
    with pytest.raises(UsageError, match="not installed"):
        signing.private_key(pairs["ed25519"].private, lambda: b"")
