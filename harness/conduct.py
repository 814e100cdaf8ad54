"""Carry out a run: each seed through train, seal, score and challenge, whatever of it is not done yet.

What a run is, on disk, is harness.run; a step whose result file is there is not repeated. Timed phases own
the machine, so there is one process of the submission at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.contract import Artifact, Outcome, TextBytes
from harness import __version__, examine, isolation, machine, phases
from harness.data.recount import count_text
from harness.handover import Handover
from harness.isolation import Isolated, Survey
from harness.journal import Journal, read_record, write_record
from harness.launch import Context, Listener
from harness.run import Run, counted_tokenizer_bytes
from harness.sandbox.mechanisms import Level
from harness.seal import remove, seal, verify
from harness.storage import writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Untrained:
    """That a run is a trial in which nothing is trained, and where its artifact comes from."""

    outputs: Path | None
    """A folder with what training would have left: only setup is run then. None: the train command is asked
    for an untrained artifact."""


def conduct(
    run: Run,
    listener: Listener,
    passed_env: Mapping[str, str],
    *,
    most: Level = "namespaces",
    survey: Survey | None = None,
    untrained: Untrained | None = None,
) -> None:
    """Do every step of a run that is not done yet, in the strongest sandbox that works here, `most` at most.

    `survey` is what is known of the machine; without it, that is found out anew. With `untrained`, nothing is
    trained: that is no run that counts. Raises JudgeError where the judge or the machine failed, UsageError
    where another judge is at work.
    """
    with writing(run.folder), Journal(run.folder) as log:
        log.write("started", harness_version=__version__)
        if read_record(run.folder / "text.json", TextBytes) is None:
            write_record(run.folder / "text.json", count_text(run.data))
        if any(run.evidence(seed).unfinished for seed in run.plan.seeds):
            isolated = isolate(run, most, passed_env, survey)
            context = context_of(run, listener, passed_env, isolated)
            try:
                for seed in run.plan.seeds:
                    _Seed(run, context, log, seed, isolated.work, untrained).steps()
            finally:
                isolation.put_away(isolated.work)
        for seed in run.plan.seeds:
            remove(run.seed_folder(seed) / "work")
        log.write("measured")


def isolate(
    run: Run,
    most: Level,
    passed_env: Mapping[str, str],
    survey: Survey | None = None,
) -> Isolated:
    """Choose and try the sandbox of a run, and write down what it holds."""
    return isolation.prepare(
        run.folder,
        run.data.folder,
        run.ruleset,
        run.manifest,
        most=most,
        libraries=passed_env.get("LD_LIBRARY_PATH", ""),
        survey=survey or Survey(),
    )


def context_of(
    run: Run, listener: Listener, passed_env: Mapping[str, str], isolated: Isolated
) -> Context:
    """Return what the phases of a run share."""
    return Context(
        manifest=run.manifest,
        phases=run.ruleset.phases,
        vocab_size=run.data.vocab_size,
        cap_bytes=run.ruleset.bytes.cap_bytes - counted_tokenizer_bytes(run.ruleset, run.data),
        passed_env=passed_env,
        listener=listener,
        sandbox=isolated.sandbox,
        pinned=isolated.pinned,
        page_cache=isolated.page_cache,
        project=run.ruleset.environment.project,
    )


class _Seed:
    """The steps of one seed."""

    def __init__(
        self,
        run: Run,
        context: Context,
        log: Journal,
        seed: int,
        work: Path | None,
        untrained: Untrained | None,
    ) -> None:
        self._run, self._context, self._log, self._seed = run, context, log, seed
        self._untrained = untrained is not None
        self._given = None if untrained is None else untrained.outputs
        self._folder = run.seed_folder(seed)
        self._work = self._folder / "work" if work is None else work / str(seed)
        self._sealed = self._folder / "sealed"

    def steps(self) -> None:
        """Train, seal, score, challenge; stop where one did not end as the next needs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        trained = read_record(self._folder / "train.json", phases.Trained) or self._train()
        artifact = read_record(self._folder / "artifact.json", Artifact)
        done = trained.train.outcome is Outcome.DONE
        if done and artifact is None and not (self._work / "output").is_dir():
            # A judge whose cells were of another kind was cut off here: what it trained lies elsewhere.
            trained = self._train()
        last = trained.train if self._given is None else trained.setup
        if last.outcome is not Outcome.DONE:
            remove(self._work)
            return
        artifact = artifact or self._seal()
        remove(self._work)
        if artifact.refusals:
            return
        scored = read_record(self._folder / "score.json", phases.Scored) or self._score(artifact)
        if scored.score.outcome is Outcome.DONE and not (self._folder / "challenge.json").exists():
            self._challenge(artifact)
        remove(self._work)

    def _train(self) -> phases.Trained:
        remove(self._work)
        try:
            return self._trained()
        except BaseException:
            # Unless its record is there, it will be repeated; and it may be what fills the disk.
            if not (self._folder / "train.json").exists():
                remove(self._work)
            raise

    def _trained(self) -> phases.Trained:
        run = self._run
        code = self._work / "train" / (run.manifest.package or "code")
        output = self._work / "output"
        output.mkdir(parents=True)
        shutil.copytree(run.folder / "submission", code)
        self._check_packages()
        self._log.write("train started", seed=self._seed)
        shards = [shard.path for shard in run.data.train.shards]
        tokenizer = None if run.data.tokenizer is None else run.data.tokenizer.path
        with Handover(shards, tokenizer, machine.memory_bytes() or 0) as handover:
            trained = phases.train(
                self._context,
                seed=self._seed,
                code=code,
                output=output,
                work=self._work,
                logs=self._folder / "logs" / "train",
                handover=None if self._given is not None else handover,
                fresh=self._untrained,
            )
        self._finish("train", "train.json", trained)
        return trained

    def _seal(self) -> Artifact:
        remove(self._sealed)
        run = self._run
        self._log.write("seal started", seed=self._seed)
        artifact = seal(
            run.manifest,
            code=run.folder / "submission",
            refused=run.plan.snapshot.refused,
            output=self._given or self._work / "output",
            into=self._sealed,
            cap_bytes=run.ruleset.bytes.cap_bytes,
            tokenizer_bytes=counted_tokenizer_bytes(run.ruleset, run.data),
        )
        self._finish("seal", "artifact.json", artifact)
        return artifact

    def _score(self, artifact: Artifact) -> phases.Scored:
        verify(artifact, self._sealed)
        self._check_packages()
        self._log.write("score started", seed=self._seed)
        scored = phases.score(
            self._context,
            seed=self._seed,
            sealed=self._sealed,
            work=self._work,
            logs=self._folder / "logs" / "score",
            stream_N=self._run.data.val.load_tokens(),
            nats=self._folder / "nats.f64",
        )
        self._finish("score", "score.json", scored)
        return scored

    def _challenge(self, artifact: Artifact) -> None:
        verify(artifact, self._sealed)
        run = self._run
        self._log.write("challenge started", seed=self._seed)
        examined = examine.examine(
            self._context,
            run.ruleset,
            seed=self._seed,
            sealed=self._sealed,
            work=self._work,
            logs=self._folder / "logs" / "challenge",
            subject=run.subject(self._seed),
        )
        self._finish("challenge", "challenge.json", examined)

    def _check_packages(self) -> None:
        """Hash what both phases import: a package that training changed would score with it."""
        if self._untrained:
            return  # nothing of a trial counts, and hashing takes longer than the rest of it
        isolation.check_packages(
            self._run.folder,
            self._context.pinned,
            sealed_off=self._context.sandbox.level != "bare",
        )

    def _finish(self, step: str, file: str, record: object) -> None:
        write_record(self._folder / file, record)
        self._log.write(f"{step} finished", seed=self._seed)
