"""One finished run, judged and signed once; tests copy it before they touch it. And keys of every kind."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from harness import ruleset, verdict
from harness.attest import signing
from harness.attest.making import payload_of
from harness.attest.verification import ATTESTATION
from harness.conduct import conduct
from harness.launch import Quiet
from harness.report.model import encode
from harness.run import Run
from tests.judged import QUICK, uniform

PASSPHRASE = b"correct horse"
MAKERS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "other": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Pair:
    """A key pair as files, and the private key itself."""

    private: Path
    public: Path
    key: object


def write_pair(folder: Path, name: str, key) -> Pair:
    pem = PrivateFormat.PKCS8
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, pem, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return Pair(private, public, key)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: write_pair(folder, name, make()) for name, make in MAKERS.items()}


@pytest.fixture(scope="session")
def encrypted(pairs):
    """The Ed25519 key again, with a passphrase."""
    path = pairs["ed25519"].private.with_name("encrypted.pem")
    path.write_bytes(
        pairs["ed25519"].key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE)
        )
    )
    return path


def write_report(folder: Path):
    """What `harness report` does, without the page."""
    report = verdict.report(Run(folder))
    (folder / "report.json").write_bytes(encode(report))
    return report


def write_attestation(folder: Path, private: Path) -> None:
    """What `harness attest` does."""
    made = payload_of(folder)
    assert made.payload is not None
    signer = signing.private_key(private, lambda: b"")
    (folder / ATTESTATION).write_bytes(signing.sign(made.payload, signer))


@pytest.fixture(scope="session")
def quick_rules(tmp_path_factory):
    """The quick ruleset with few questions."""
    text = QUICK.read_text()
    for old, new in (
        ("blind = 300", "blind = 20"),
        ("max_rounds = 4", "max_rounds = 1"),
        ('baseline = "quick.toml"', 'baseline = ""'),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("rules") / "few.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def signed_run(tmp_path_factory, tiny_data, quick_rules, pairs):
    """A run of one seed that passes, with its report and an attestation by the Ed25519 key."""
    folder = tmp_path_factory.mktemp("attest")
    run = Run.create(
        root=folder / "runs",
        submission=uniform(folder / "mine"),
        rules=ruleset.load(str(quick_rules)),
        data=tiny_data,
        seeds=(1,),
        baseline_text=None,
    )
    conduct(run, Quiet(), {})
    assert write_report(run.folder).exit_code == 0
    write_attestation(run.folder, pairs["ed25519"].private)
    return run.folder


@pytest.fixture
def copied(signed_run, tmp_path):
    return Path(shutil.copytree(signed_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def public(pairs):
    return pairs["ed25519"].public
