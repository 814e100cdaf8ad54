"""A submission tried without training it: its manifest, files and imports read, then one judged session.

What is found is one entry of a result (harness.report.result). A bad submission raises nothing, and neither
does a judge that fails on it: others may be waiting for their turn.

Measures nothing that counts: what it did not look at is in the entry, with the command that would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from checks import submission_files, submission_imports, submission_manifest, submission_session
from checks.contract import Finding, Status
from checks.submitted import Doubtful, Tried
from harness import machine
from harness.clock import Stopwatch
from harness.data.dataset import Dataset
from harness.data.embedded import DIGESTS, embedded
from harness.data.excerpt import excerpt
from harness.errors import JudgeError, UsageError
from harness.isolation import Survey
from harness.launch import Listener, Quiet
from harness.manifest import FILE_NAME, Manifest
from harness.preflight.doubts import Circumstances
from harness.preflight.folder import Folder, read_folder
from harness.preflight.imports import Scan, scan
from harness.preflight.lookup import provided
from harness.preflight.manifest_place import line_in, line_of
from harness.preflight.rules import trial_rules
from harness.preflight.session import Session, hold, keep_report
from harness.preflight.untold import Asked, facts, untold
from harness.report.result import Entry, Judgement, Note, Place, conclude
from harness.ruleset import Loaded
from harness.sandbox.mechanisms import Level
from harness.seal import remove

VAL_TOKENS = 8_192
TRAIN_TOKENS = 65_536
MOST_NOTES = 20


def check_submission(
    folder: Path,
    rules: Loaded,
    *,
    name: str,
    data: Dataset | None = None,
    artifact: Path | None = None,
    guarantees_required: bool = False,
    most: Level = "namespaces",
    passed_env: Mapping[str, str] | None = None,
    listener: Listener | None = None,
    survey: Survey | None = None,
    keep: Path | None = None,
    ruleset_named: str = "",
) -> Entry:
    """Try a submission and return what was found.

    An excerpt of `data` is used, without it one of the embedded corpus; `artifact` is a folder with what
    training left, without it the train command is asked for an untrained artifact. `keep` is a folder, new or
    empty, in which the run stays with its report. `ruleset_named` is what commands in the entry call the
    ruleset. Raises UsageError where an argument cannot be used, DataError and RulesetError included; never
    for what the submission is.
    """
    asked = Asked(
        name=name,
        rules=rules,
        ruleset_named=ruleset_named,
        own_data=data is not None,
        given=artifact is not None,
        guarantees_required=guarantees_required,
    )
    with _place(keep) as place:
        trial = _Trial(
            place=place,
            folder=folder,
            asked=asked,
            data=data,
            artifact=artifact,
            most=most,
            passed_env=passed_env or {},
            listener=listener or Quiet(),
            survey=survey or Survey(),
            kept=keep is not None,
        )
        return trial.entry()


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One submission on its way."""

    place: Path
    folder: Path
    asked: Asked
    data: Dataset | None
    artifact: Path | None
    most: Level
    passed_env: Mapping[str, str]
    listener: Listener
    survey: Survey
    kept: bool
    watch: Stopwatch = field(default_factory=Stopwatch)
    judgements: list[Judgement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def entry(self) -> Entry:
        """Go through everything and return the entry."""
        read: Folder | None = None
        scanned: Scan | None = None
        session: Session | None = None
        tried = Tried(weights=self._weights)
        try:
            read = read_folder(self.folder, self.place / "copy", self.asked.rules, self.data)
            self._say_read(read)
            if self.artifact is not None and read.manifest is not None:
                _check_outputs(self.artifact, read.manifest)
            if read.manifest is not None and read.snapshot is not None:
                scanned = self._scan(read, read.manifest)
            tried = Tried(weights=self._weights, why_not=self._in_the_way(read))
            if not tried.why_not:
                assert scanned is not None
                session = self._session(scanned)
                tried = session.tried
        except JudgeError as fault:
            tried = Tried(weights=self._weights, why_not=str(fault), fault=True)
        self._judge(submission_session.check(tried), required=not (read and _wants_gpu(read)))
        for finding in session.findings if session else ():
            self._judge(finding)
        verdict, message = conclude(self.judgements)
        return Entry(
            kind="submission",
            name=self.asked.name,
            digest=read.snapshot.digest if read and read.snapshot else None,
            verdict=verdict,
            message=message,
            judgements=tuple(self.judgements),
            notes=self._shown_notes(),
            not_checked=untold(self.asked, tried, session),
            facts=facts(self.asked, read, session, self.watch.elapsed_s, kept=self.kept),
        )

    @property
    def _weights(self) -> str:
        return "untrained" if self.artifact is None else "given"

    # --- what can be read ---

    def _say_read(self, read: Folder) -> None:
        described = submission_manifest.check(read.described)
        at = None
        if read.described.problem:
            at = Place(file=FILE_NAME, line=line_in(read.text, read.described.problem) or None)
        self._judge(described, at)
        if read.copied is None:
            return
        files = submission_files.check(read.copied)
        at = None
        if files.status is Status.FAIL:
            at = Place(file=FILE_NAME, line=line_of(read.text, "artifact.code") or None)
        self._judge(files, at)
        for name, reason in submission_files.left_out(read.copied):
            self._note(files.id, f"not copied, and not there in training: {name} {reason}", name, 0)

    def _scan(self, read: Folder, manifest: Manifest) -> Scan:
        available = provided(
            self.survey.pinned(self.asked.rules.ruleset.environment.packages),
            self.asked.rules.ruleset.environment.project,
        )
        found = scan(self.place / "copy", read.names, manifest, available)
        finding = submission_imports.check(found.imports)
        first = submission_imports.first(found.imports)
        unread = any(each.unread for each in found.imports.started)
        # What cannot be read is seen in the session, which starts the same commands.
        required = first is not None or not unread
        self._judge(finding, None if first is None else _at(first), required=required)
        for each in submission_imports.advice(found.imports):
            self._note(finding.id, f"{each.command} {each.message}", each.file, each.line)
        return found

    def _in_the_way(self, read: Folder) -> str:
        """Return why no session is held, or ""; code over the cap alone stops nobody."""
        for each in self.judgements:
            finding = each.finding
            if finding.id == submission_files.ID and read.copied is not None:
                stops = not submission_files.is_whole(read.copied)
            else:
                stops = each.required and finding.status is not Status.PASS
            if stops:
                return f"{finding.id} is {finding.status}"
        if _wants_gpu(read):
            return "submission.toml says that it needs a GPU (check.gpu), and this machine has none"
        return ""

    # --- what has to be tried ---

    def _session(self, scanned: Scan) -> Session:
        rules = self.asked.rules
        whole = self.data or embedded(self.place / "corpus")
        data = excerpt(whole, self.place / "data", val_tokens=VAL_TOKENS, train_tokens=TRAIN_TOKENS)
        remove(self.place / "corpus")
        foreign = self.data is None and rules.ruleset.data.tokenizer_sha256 != DIGESTS["tokenizer"]
        session = hold(
            root=self.place,
            submission=self.place / "copy",
            rules=trial_rules(
                rules,
                guarantees_required=self.asked.guarantees_required,
                free_tokenizer=foreign,
            ),
            data=data,
            outputs=None if self.artifact is None else self.artifact.resolve(),
            here=self._circumstances(scanned, data, foreign=foreign),
            listener=self.listener,
            passed_env=self.passed_env,
            most=self.most,
            survey=self.survey,
        )
        if self.kept:
            keep_report(session)
            remove(self.place / "copy")  # the run has its own
        return session

    def _circumstances(self, scanned: Scan, data: Dataset, *, foreign: bool) -> Circumstances:
        lacking = next(iter(scanned.lacking), None)
        cuda = None if machine.describe().gpus else scanned.cuda
        said = ""
        if self.data is None:
            said = (
                f"the embedded corpus has a vocabulary of {data.vocab_size}; a submission made for "
                "another tokenizer needs --data"
            )
        return Circumstances(
            fresh=self.artifact is None,
            lacking="" if lacking is None else f"{lacking.file}:{lacking.line} {lacking.message}",
            no_gpu=(
                f"{cuda[0]}:{cuda[1]} speaks of CUDA, and this machine has no GPU" if cuda else ""
            ),
            other_tokenizer=said if foreign else "",
            vocabulary=said,
        )

    # --- what is said of it ---

    def _judge(
        self, finding: Finding, place: Place | None = None, *, required: bool = True
    ) -> None:
        named = self.asked.rules.ruleset.verdict.required
        own = finding.id.startswith(("submission.", "sandbox."))
        self.judgements.append(
            Judgement(
                finding=finding, required=required and (own or finding.id in named), place=place
            )
        )

    def _note(self, check: str, message: str, file: str, line: int) -> None:
        place = Place(file=file, line=line or None)
        self.notes.append(Note(id=check, message=message, place=place))

    def _shown_notes(self) -> tuple[Note, ...]:
        shown, rest = self.notes[:MOST_NOTES], self.notes[MOST_NOTES:]
        if rest:
            shown = [*shown, Note(id=rest[0].id, message=f"{len(rest)} more notes are left out")]
        return tuple(shown)


def _wants_gpu(read: Folder) -> bool:
    """Return whether a submission says that nothing of it can be tried here."""
    return read.manifest is not None and read.manifest.check.gpu and not machine.describe().gpus


def _at(each: Doubtful) -> Place:
    return Place(file=each.file, line=each.line or None)


def _check_outputs(artifact: Path, manifest: Manifest) -> None:
    """Refuse a folder that is not what training would have left."""
    if not artifact.is_dir():
        raise UsageError(f"--artifact {artifact}: no such folder; name the one that training left")
    for name in manifest.artifact.output:
        if not (artifact / name).is_symlink() and not (artifact / name).exists():
            raise UsageError(
                f"--artifact {artifact}: has no {name}, which artifact.output names; name the folder that "
                "training left, or RUN/seeds/N/sealed of a run"
            )


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Yield a folder for a trial: the one to keep, or one that is gone afterwards."""
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
            taken = any(keep.iterdir())
        except OSError as error:
            raise UsageError(f"--keep {keep}: {error.strerror}; choose a writable folder") from None
        if taken:
            raise UsageError(f"--keep {keep}: is not empty; choose a new folder")
        yield keep.resolve()
        return
    try:
        place = Path(tempfile.mkdtemp(prefix="harness-check-")).resolve()
    except OSError as error:
        raise UsageError(
            f"{error.filename}: {error.strerror}; set TMPDIR to a writable folder, or give --keep"
        ) from None
    try:
        yield place
    finally:
        remove(place)
