"""Everything that can be checked of a run's folder without running the submission again.

Consistency and origin are two questions. That report, evidence and statement agree says that nobody changed
one of them alone; somebody who wrote all of them himself passes. Where a folder comes from is said by a
signature that verifies with a key that the reader already trusts, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from checks.contract import Finding, Status
from harness.attest import evidence, signing, statement
from harness.attest.regrading import (
    REPORT,
    Difference,
    Regraded,
    Stored,
    exact_differences,
    read_plan_of,
    read_report,
    regrade,
)
from harness.errors import (
    EXIT_JUDGE,
    EXIT_PASS,
    EXIT_RULE_BROKEN,
    DataElsewhere,
    JudgeError,
    UsageError,
)
from harness.report.model import Report

ATTESTATION = "attestation.dsse.json"
SCHEMA, SIGNATURE, STATEMENT = "verify.schema", "verify.signature", "verify.statement"
EVIDENCE, REGRADE = "verify.evidence", "verify.regrade"
NOBODY = "nobody vouches for where this came from"
UNSIGNED = f"no --key given: {NOBODY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found of one run's folder; texts may hold anybody's words and are not escaped."""

    folder: Path
    report: Report
    findings: tuple[Finding, ...]
    """verify.schema, .signature, .statement, .evidence and .regrade, in this order."""
    signed_by: tuple[str, ...]
    """Key ids of those of the keys given that verify: SHA-256 of the DER public key, hexadecimal."""
    keys_given: bool
    regraded: Regraded | None
    """None where it could not be regraded: its data are not at hand, or its evidence cannot be read."""
    statement_differences: tuple[Difference, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 0 where nothing failed and nothing that was asked for is open, 1 for a FAIL, else 3."""
        states = [finding.status for finding in self.findings]
        if Status.FAIL in states:
            return EXIT_RULE_BROKEN
        open_ = [
            finding
            for finding in self.findings
            if finding.status is not Status.PASS
            and (self.keys_given or finding.id not in (SIGNATURE, STATEMENT))
        ]
        return EXIT_JUDGE if open_ or Status.ERROR in states else EXIT_PASS

    @property
    def ok(self) -> bool:
        """Return whether the report is what its evidence gives, and signed by a key given, if any was.

        Without keys this is about consistency alone.
        """
        return self.exit_code == EXIT_PASS

    @property
    def message(self) -> str:
        """Return one sentence: what holds, and who vouches for it."""
        if self.exit_code == EXIT_PASS:
            who = "signed by a key you gave" if self.signed_by else UNSIGNED
            return f"{REPORT} is what its evidence gives; {who}"
        worst = Status.FAIL if self.exit_code == EXIT_RULE_BROKEN else None
        deciding = [
            finding
            for finding in self.findings
            if (finding.status is worst if worst else finding.status is not Status.PASS)
        ]
        return (
            f"{'not what it claims' if worst else 'undecided'}: {', '.join(f.id for f in deciding)}"
        )


def verify(
    folder: Path,
    keys: Sequence[Path] = (),
    data: Path | None = None,
    *,
    attestation: Path | None = None,
) -> Verification:
    """Check the run in FOLDER: its signature, its statement's digests, its evidence, its verdict.

    `keys` are files of PEM public keys, one of which must have signed; without any, a signature is not looked
    at. `data` is where the run's data are if they have moved; `attestation` where that file is not in the
    folder. Nothing is written. Raises UsageError where there is nothing that can be checked: no run, no
    report, a report or statement of a newer schema, a file that is no envelope, a key that is none, data
    that are not the run's.
    """
    trusted = [signing.public_key(path) for path in keys]
    plan = read_plan_of(folder)
    stored = read_report(folder)
    odd = tuple(evidence.odd_files(folder, plan.seeds))
    place = attestation or (folder / ATTESTATION if _is_there(folder / ATTESTATION) else None)
    signed_by, signature, payload = _signature(place, trusted)
    differences, stated = _stated(folder, stored, payload, place, odd=bool(odd))
    regraded, graded = _regraded(folder, data)
    return Verification(
        folder=folder,
        report=stored.report,
        findings=(
            _finding(SCHEMA, Status.PASS, f"{REPORT}: schema {stored.report.schema_version}"),
            signature,
            stated,
            *graded,
        ),
        signed_by=signed_by,
        keys_given=bool(trusted),
        regraded=regraded,
        statement_differences=differences,
    )


def locate(path: Path) -> tuple[Path, Path | None]:
    """Return the run's folder and the attestation that PATH names: a folder, its report.json, an attestation.

    Raises UsageError where the run's folder is not where PATH is.
    """
    if path.is_dir():
        return path, None
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; name a run's folder or its report.json")
    folder = path.parent
    if not (folder / "run.json").is_file():
        raise UsageError(
            f"{path}: no run.json beside it; name the run's folder, and an attestation elsewhere with "
            "--attestation"
        )
    return folder, None if path.name == REPORT else path


def _signature(
    place: Path | None, trusted: Sequence[signing.PublicKey]
) -> tuple[tuple[str, ...], Finding, bytes | None]:
    """Return the key ids that verify, the finding, and the payload unless its signature is broken."""
    if place is None:
        return (), _finding(SIGNATURE, Status.NOT_RUN, f"no attestation: {NOBODY}"), None
    signed = signing.read_envelope(place)
    if not trusted:
        return (), _finding(SIGNATURE, Status.NOT_RUN, UNSIGNED), signed.payload
    by = signing.signers(signed, trusted)
    if not by:
        many = "none of the keys given" if len(trusted) > 1 else "the key given"
        said = f"{place.name}: no signature of {many}; it was changed, or somebody else signed it"
        return (), _finding(SIGNATURE, Status.FAIL, said), None
    whose = ", ".join(f"{key.path} (SHA-256 {key.keyid})" for key in by)
    return (
        tuple(key.keyid for key in by),
        _finding(SIGNATURE, Status.PASS, f"{place.name}: signed by {whose}"),
        signed.payload,
    )


def _stated(
    folder: Path, stored: Stored, payload: bytes | None, place: Path | None, *, odd: bool
) -> tuple[tuple[Difference, ...], Finding]:
    """Compare a statement with the one that the files in the folder would give."""
    if payload is None or place is None:
        why = "no attestation" if place is None else "not read: its signature is broken"
        return (), _finding(STATEMENT, Status.NOT_RUN, why)
    said = statement.decode(payload, str(place))
    if odd:
        return (), _finding(STATEMENT, Status.NOT_RUN, "not compared: see verify.evidence")
    plan = read_plan_of(folder)
    expected = statement.state(
        stored.report,
        report_sha256=stored.sha256,
        plan=plan,
        evidence=evidence.digests(folder, plan.seeds),
        when_utc=said.predicate.time_verified,
    )
    found = tuple(exact_differences(_plain(said), _plain(expected)))
    if not found:
        count = len(said.predicate.evidence)
        return (), _finding(
            STATEMENT, Status.PASS, f"{REPORT} and {count} files are those it names"
        )
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    said_of = f"{place.name} is not about these files: {found[0].path} differs{more}"
    return found, _finding(STATEMENT, Status.FAIL, said_of)


def _plain(said: statement.Statement) -> dict[str, Any]:
    """Return a statement as plain JSON values, without what depends on the harness that made it."""
    plain: dict[str, Any] = msgspec.json.decode(statement.encode(said))
    del plain["predicate"]["verifier"]["version"]
    del plain["predicate"]["schema_version"]
    return plain


def _regraded(folder: Path, data: Path | None) -> tuple[Regraded | None, tuple[Finding, ...]]:
    try:
        regraded = regrade(folder, data)
    except DataElsewhere as error:
        whole = _finding(EVIDENCE, Status.NOT_RUN, "not compared: see verify.regrade")
        return None, (whole, _finding(REGRADE, Status.NOT_RUN, str(error)))
    except JudgeError as error:
        whole = _finding(EVIDENCE, Status.ERROR, str(error))
        return None, (whole, _finding(REGRADE, Status.NOT_RUN, "see verify.evidence"))
    if regraded.recomputed is None:
        whole = _finding(EVIDENCE, Status.FAIL, regraded.message)
        return regraded, (whole, _finding(REGRADE, Status.NOT_RUN, "see verify.evidence"))
    whole = _finding(EVIDENCE, Status.PASS, "rules, code, artifacts, nats and answers agree")
    if regraded.unfinished:
        said = f"{regraded.unfinished} of {len(regraded.recomputed.seeds)} seeds are not finished"
        whole = _finding(EVIDENCE, Status.NOT_RUN, said)
    return regraded, (whole, _finding(REGRADE, regraded.status, _said(regraded)))


def _said(regraded: Regraded) -> str:
    if not regraded.differences:
        return f"{regraded.message}: verdict {regraded.stored.report.verdict}"
    first = regraded.differences[0]
    return f"{regraded.message}; first {first.path}"


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _finding(check: str, status: Status, message: str) -> Finding:
    return Finding(id=check, status=status, message=message)
