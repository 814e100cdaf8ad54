"""A run: seeds one after another through their phases, each step's result on disk before the next begins.

    RUN/run.json          what was asked: ruleset, data, submission, seeds
    RUN/ruleset.toml      the ruleset, verbatim;  baseline.toml beside it where there is one
    RUN/submission/       the judge's copy of the submission's folder
    RUN/isolation.json    machine, and what its sandbox held, once for each start;  packages.json its imports
    RUN/seeds/N/          train.json, artifact.json, sealed/, score.json, nats.f64, challenge.json, logs/
    RUN/journal.jsonl     what happened, for people
    RUN/report.json       the result;  report.html beside it

A step whose result file is there is not repeated: that is all that resuming needs. Carrying a run out is
harness.conduct.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from checks.contract import Artifact, Outcome, TextBytes
from harness import __version__, examine, isolation, manifest, phases, ruleset
from harness.clock import utc_now
from harness.data.dataset import Dataset, open_dataset
from harness.draws import new_secret
from harness.errors import DataError, JudgeError, ManifestError, UsageError
from harness.fit import check_fit
from harness.journal import read_record, write_atomically, write_record
from harness.questions import Subject
from harness.report.model import Guarantee, Machine
from harness.sandbox.guarantees import guarantees, not_started, weakest
from harness.seal import Snapshot, digest_of, snapshot
from harness.storage import made_whole


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was asked of a run; written once."""

    schema: int
    harness_version: str
    run_id: str
    created_utc: str
    ruleset_sha256: str
    data_folder: str
    data_digests: dict[str, str]
    seeds: tuple[int, ...]
    snapshot: Snapshot
    baseline_sha256: str | None
    own_baseline: bool
    """Whether the baseline is the ruleset's own, and not one given for this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedEvidence:
    """Everything that was measured of one seed; None for steps that were not reached."""

    seed: int
    trained: phases.Trained | None
    artifact: Artifact | None
    scored: phases.Scored | None
    examined: examine.Examined | None
    nats: Path

    @property
    def unfinished(self) -> bool:
        """Return whether a step is still to be done, which a resumed run would do."""
        if self.trained is None:
            return True
        if self.trained.train.outcome is not Outcome.DONE:
            return False
        if self.artifact is None:
            return True
        if self.artifact.refusals:
            return False
        if self.scored is None:
            return True
        return self.scored.score.outcome is Outcome.DONE and self.examined is None


class Run:
    """One run folder: made, or opened again."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        """Open an existing run, with its data in `data` where they are no longer where they were.

        Raises UsageError, RulesetError or ManifestError where it is not one, DataError where the data are
        not those that it began with.
        """
        self.folder = folder.resolve()  # phases start elsewhere
        self.plan = plan = read_plan(folder)
        text = _read(folder / "ruleset.toml", plan.ruleset_sha256)
        self.ruleset_sha256 = plan.ruleset_sha256
        self.ruleset = ruleset.parse(text, f"{folder}/ruleset.toml")
        self.baseline_text: str | None = None
        self.baseline: ruleset.BaselineFile | None = None
        if plan.baseline_sha256 is not None:
            self.baseline_text = _read(folder / "baseline.toml", plan.baseline_sha256)
            self.baseline = ruleset.parse_baseline(self.baseline_text, f"{folder}/baseline.toml")
        self.manifest = _copied_manifest(folder / "submission", plan.snapshot)
        self.data = open_dataset(data or Path(plan.data_folder))
        if dict(self.data.digests) != plan.data_digests:
            raise DataError(
                f"{plan.data_folder}: the data changed since the run began; start a new run"
                if data is None
                else f"{data}: not the data of this run; name the folder that it was judged on"
            )

    @classmethod
    def create(
        cls,
        *,
        root: Path,
        submission: Path,
        rules: ruleset.Loaded,
        data: Dataset,
        seeds: tuple[int, ...],
        baseline_text: str | None,
    ) -> Run:
        """Lay out a new run below `root`.

        Raises UsageError where something of it cannot be used; nothing is left behind then.
        """
        mine = manifest.load(submission)
        check_fit(mine, rules.ruleset, submission)
        created = utc_now()
        slug = re.sub(r"[^a-z0-9]+", "-", mine.name.lower()).strip("-")[:40] or "submission"
        stamp = created.replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
        run_id = f"{stamp}-{slug}-{new_secret()[:6]}"
        folder = root / run_id
        try:
            with made_whole(folder) as making:
                copied = snapshot(submission, making / "submission")
                if manifest.FILE_NAME in copied.refused:
                    raise ManifestError(
                        f"{submission / manifest.FILE_NAME}: {copied.refused[manifest.FILE_NAME]}; "
                        "make it a file of its own"
                    )
                write_atomically(making / "ruleset.toml", rules.text.encode())
                if baseline_text is not None:
                    write_atomically(making / "baseline.toml", baseline_text.encode())
                plan = Plan(
                    schema=1,
                    harness_version=__version__,
                    run_id=run_id,
                    created_utc=created,
                    ruleset_sha256=rules.sha256,
                    data_folder=str(data.folder.resolve()),
                    data_digests=dict(data.digests),
                    seeds=seeds,
                    snapshot=copied,
                    baseline_sha256=None if baseline_text is None else _sha256(baseline_text),
                    own_baseline=baseline_text is not None and baseline_text == rules.baseline_text,
                )
                write_record(making / "run.json", plan)
        except OSError as error:
            raise UsageError(
                f"{folder}: {error.strerror}; choose a writable folder with --out"
            ) from None
        return cls(folder)

    def subject(self, seed: int) -> Subject:
        """Return what a seed's challenges are about; its credited nats must be on disk."""
        stream_N = self.data.val.load_tokens()
        nats = self.seed_folder(seed) / "nats.f64"
        scored = read_record(self.seed_folder(seed) / "score.json", phases.Scored)
        return Subject(
            stream_N=stream_N,
            credited_N=np.memmap(nats, dtype="<f8", mode="r", shape=(len(stream_N),)),
            block_tokens=self.manifest.score.block_tokens,
            vocab_size=self.data.vocab_size,
            has_predict=self.manifest.score.predict,
            token_classes_V=self.data.token_classes_V,
            credited_s=None if scored is None else scored.score.wall_s,
        )

    def guarantees(self, *, train_hidden: bool) -> tuple[Guarantee, ...]:
        """Return what was held over all starts of this run: the weaker line where they differ."""
        record = read_record(self.folder / isolation.FILE, isolation.Isolation)
        required = self.ruleset.verdict.guarantees
        return weakest(
            [
                guarantees(attempt, required=required, train_hidden=train_hidden)
                for attempt in (record.attempts if record else ())
            ]
            or [not_started(required)]
        )

    def machine(self) -> Machine | None:
        """Return the machine of the last start that had something to do; None where none was noted."""
        record = read_record(self.folder / isolation.FILE, isolation.Isolation)
        return record.machines[-1] if record and record.machines else None

    def text(self) -> TextBytes:
        """Return the recounted byte denominator."""
        return read_record(self.folder / "text.json", TextBytes) or self.data.text

    def evidence(self, seed: int) -> SeedEvidence:
        """Read back what is on disk of one seed."""
        folder = self.seed_folder(seed)
        return SeedEvidence(
            seed=seed,
            trained=read_record(folder / "train.json", phases.Trained),
            artifact=read_record(folder / "artifact.json", Artifact),
            scored=read_record(folder / "score.json", phases.Scored),
            examined=read_record(folder / "challenge.json", examine.Examined),
            nats=folder / "nats.f64",
        )

    def seed_folder(self, seed: int) -> Path:
        """Return where a seed's results lie."""
        return self.folder / "seeds" / str(seed)


def counted_tokenizer_bytes(rules: ruleset.Ruleset, data: Dataset) -> int:
    """Return the tokenizer's size where the ruleset counts it: unless free, or the ruleset's own."""
    if rules.bytes.tokenizer == "free" or data.tokenizer is None:
        return 0
    own = data.tokenizer.sha256 == rules.data.tokenizer_sha256
    return 0 if own else data.tokenizer.size_bytes


def read_plan(folder: Path) -> Plan:
    """Return what was asked of the run in FOLDER.

    Raises UsageError where there is none.
    """
    try:
        plan = read_record(folder / "run.json", Plan)
    except (OSError, JudgeError):
        raise UsageError(
            f"{folder}: its run.json cannot be read; name the folder of a run that is whole"
        ) from None
    if plan is None:
        raise UsageError(f"{folder}: no run.json in it; name the folder of a run")
    return plan


def _copied_manifest(copied: Path, taken: Snapshot) -> manifest.Manifest:
    """Read the manifest of the judge's copy, which must be what was copied."""
    path = copied / manifest.FILE_NAME
    try:
        data = path.read_bytes()
        unchanged = digest_of(copied) == taken.digest
        text = data.decode() if unchanged else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{copied}: {reason}; the run folder is not whole") from None
    if not unchanged:
        raise UsageError(f"{copied}: changed since the run began; start a new run")
    # Not `load`: a declared file that was refused is not there, and the seal says so.
    return manifest.parse(text, str(path))


def _read(path: Path, sha256: str) -> str:
    """Read a file that must be what it was when the run began."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: {reason}; the run folder is not whole") from None
    if _sha256(text) != sha256:
        raise UsageError(f"{path}: changed since the run began; start a new run")
    return text


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
