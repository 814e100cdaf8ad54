"""`harness attest`: a signed statement of what a run measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from harness.errors import UsageError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="Your PEM private key.")
@click.option(
    "--out", "target", type=click.Path(path_type=Path), help="By default RUN/attestation.dsse.json."
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="The run's data folder, if it has moved."
)
@click.option(
    "--passphrase-env",
    metavar="NAME",
    help="The environment variable that holds the key's passphrase, if it has one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was signed as JSON.")
def attest(
    run: Path,
    key: Path,
    target: Path | None,
    data: Path | None,
    passphrase_env: str | None,
    as_json: bool,
) -> int:
    """Sign, with your key, what RUN measured: an in-toto statement in a DSSE envelope.

    The verdict is worked out again first: a report.json that its evidence does not give is not signed, and
    the exit code is 1. Whoever has the public key can check the file with `harness verify RUN --key PUB`.
    """
    import msgspec

    from harness.attest import signing
    from harness.attest.making import payload_of
    from harness.attest.verification import ATTESTATION
    from harness.commands.regrade import show_differences
    from harness.journal import write_atomically
    from harness.report.escape import for_terminal

    out = target or run / ATTESTATION
    signer = signing.private_key(key, lambda: _passphrase(key, passphrase_env))
    _refuse_other(out)
    made = payload_of(run, data)
    if made.payload is None:
        click.echo(f"harness: not signed: {for_terminal(made.regraded.message)}", err=True)
        show_differences(made.regraded.differences, err=True)
        return made.regraded.exit_code
    try:
        write_atomically(out, signing.sign(made.payload, signer))
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror}; choose a writable place with --out") from None
    report, keyid = made.regraded.stored.report, signer.public_key.keyid
    if as_json:
        said = {
            "schema_version": "1.0",
            "attestation": str(out),
            "run_id": report.run_id,
            "verdict": report.verdict,
            "signed_by": keyid,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(said, order="sorted"), indent=2))
    else:
        click.echo(
            f"{for_terminal(str(out))}: {for_terminal(report.run_id)}, verdict {report.verdict}, "
            f"signed by SHA-256 {keyid}"
        )
    return 0


def _passphrase(key: Path, name: str | None) -> bytes:
    """Return the passphrase of an encrypted key: from the variable NAME, else asked for."""
    if name is not None:
        if name not in os.environ:
            raise UsageError(f"--passphrase-env {name}: no such variable; set it, or leave it out")
        return os.environb[os.fsencode(name)]
    if not sys.stdin.isatty():
        raise UsageError(
            f"--key {key}: is encrypted; name the variable with its passphrase with --passphrase-env"
        )
    said: str = click.prompt(f"passphrase of {key}", hide_input=True, err=True)
    return said.encode()


def _refuse_other(out: Path) -> None:
    """Refuse to write over anything but an attestation."""
    from harness.attest.signing import read_envelope

    if not (out.exists() or out.is_symlink()):
        return
    try:
        read_envelope(out)
    except UsageError:
        raise UsageError(
            f"{out}: is there and is no attestation; choose another place with --out"
        ) from None
