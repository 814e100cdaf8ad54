"""One log as a record: what each process in it states, with the lines that say so.

A log may hold several trainings one after the other. Where their seeds differ each becomes a record of its
own, named after its lines; where they do not, the last statement counts and the others stay as candidates.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from checks.published import Found, Log, Score, Value, completed
from harness.audit.score_lines import MENTION, scores_of
from harness.audit.stated_lines import HINT, UNREAD, WEAK, Stated, Step, stated, training_step
from harness.audit.text import LogText

_HINT = re.compile(f"{HINT.pattern}|{MENTION.pattern}")
MAX_SCORES = 300
"""Of one training; where there are more, some of the first and of the last are kept."""
_FEW = 50
STOPPED, WORKED = "stopping line", "worked line"
MAX_STATED = 200
MAX_PROCESSES = 32

_PREFIX = re.compile(
    r"""\s*+(?:
      \[?(?:rank|default)?[ ]?\d{1,4}\]?:(?=[ ]|\D)(?![ ]?\d+/)   # [rank0]:  [0]:  0:
    | [\[(](?:rank|local_rank|gpu|proc)[ :=]?\d{1,4}[\])]:?           # [rank0]  (rank 0)
    | \[?\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d)?[\d.,]*(?:Z|[-+]\d\d:?\d\d)?)?\]?(?=[\s|,:\[-])
    | \[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?(?=[\s|,:\[-])
    | [IWE]\d{4}\ \d\d:\d\d:\d\d\.\d+\ +\d+\ [\w.]+:\d+\]
    | \[?\b(?:INFO|DEBUG|WARNING|WARN)\b\]?(?::\w+)?:?
    | \[__\w+__\] | __main__:?
    | std(?:out|err)(?:[ ]F)?:? | wandb: | [\w-]{1,40}[ ]+\|(?=[ ]\w+[:=])
    )[ ]?(?:\|\s|-\s)?\s*""",
    re.X,
)
"""What launchers and loggers put in front of a line: ranks, times, levels. Taken off one after the other."""
_MAX_PREFIXES = 6
_FRONT = frozenset(" \t[(0123456789IWED_sw")
_SKIPPED = (
    "tttg:",
    "ttp:",
    "ttpp:",
    "ttpr:",
    "ttt_chunk",
    "val_progress",
    "warmup_step",
    "wu:",
    "integrated_eval: chunk",
    "loop_warmup",
    "ngram [",
    "sliding_eval [",
    "eval: batch",
    "ttt_progress",
    "tc[",
)
_SEED_IN_NAME = re.compile(
    r"(?:seed[_\-=]?(?=\d)|(?<![a-z0-9])s[_\-=]?(?=\d\d))(\d{1,10})(?![\d.]*x)(?!\d)", re.I
)
"""A bare "s1" may be a stage, a split or a shard; "s1337" is hardly one."""


class _Process:
    """What has been stated since the last beginning."""

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self.stated: dict[str, list[Value[Any]]] = {}
        self.scores: list[Score] = []
        self.left_out = 0
        self.step: tuple[Step, int] | None = None

    def seeds(self) -> set[int]:
        return {value.value for value in self.stated.get("seed", ())}

    def add(self, item: Stated, file: str, line: int) -> None:
        known = self.stated.setdefault(item.what, [])
        if len(known) >= MAX_STATED:
            known.pop()  # the last one counts
        known.append(Value(item.value, file, line, item.words))

    def add_scores(self, scores: list[Score]) -> None:
        self.scores += scores
        if len(self.scores) > MAX_SCORES:
            # The first and the last ones are kept, of the middle of training the last alone.
            finals = [score for score in self.scores if not score.validation]
            few = [*finals[:-_FEW][:_FEW], *finals[-_FEW:]]
            self.left_out += len(finals) - len(few)
            last = self.scores[-1]
            self.scores = [*few, last] if last.validation else few

    def said(self, what: str) -> list[Value[Any]]:
        """Return what was stated, or what was said in passing where nothing was."""
        return self.stated.get(what) or self.stated.get(what + WEAK, [])


def read_log(name: str, text: LogText, problems: list[Value[str]] | None = None) -> list[Log]:
    """Return the records of one log: one, or one for each seed where a file holds several trainings.

    What was left out, because it is too much, is added to `problems`.
    """
    processes = _processes(name, text)
    several = len(processes) > 1
    records = []
    for process in processes:
        label = f"{name}#lines{process.first}-{process.last}" if several else name
        records.append(_record(label, name, text, process))
        if process.left_out and problems is not None:
            said = f"{process.left_out:,} scores between the first and the last ones are not read"
            problems.append(Value(said, name, 0))
        unread = _unread_end(process)
        if unread and problems is not None:
            problems.append(Value("the end of training is no time that can be read", name, unread))
    return records


def _processes(name: str, text: LogText) -> list[_Process]:
    ended: list[_Process] = []
    process = _Process(1)
    number = 1
    for number, raw in text.numbered():
        if not raw or raw.startswith(_SKIPPED):
            continue
        line = _without_prefix(raw) if raw[0] in _FRONT else raw
        lower = line.lower()
        step = training_step(lower) if "/" in line else None
        if step is not None:
            process.step = step, number
        if not _HINT.search(lower) or line.startswith(_SKIPPED):
            continue
        process.add_scores(scores_of(lower, name, number))
        for item in stated(line, lower) if step is None else ():
            if len(ended) < MAX_PROCESSES and _begins_another(process, item):
                process.last = number - 1
                ended.append(process)
                process = _Process(number)
            process.add(item, name, number)
    process.last = number
    if ended:
        ended[0].first = min(value.line for value in ended[0].stated["seed"])
    return [*ended, process]


def _begins_another(process: _Process, item: Stated) -> bool:
    """Say whether a seed begins another training: one with another seed has trained and been scored."""
    seeds = process.seeds()
    return bool(
        item.what == "seed"
        and seeds
        and item.value not in seeds
        and process.scores
        and process.step
        and not process.scores[-1].validation
    )


def _without_prefix(line: str) -> str:
    """Return a line without what launchers and loggers put in front of it."""
    for _ in range(_MAX_PREFIXES):
        match = _PREFIX.match(line)
        if match is None:
            break
        line = line[match.end() :]
    return line


def _record(label: str, name: str, text: LogText, process: _Process) -> Log:
    said = process.said
    stop_from = next((kind for kind in (STOPPED, WORKED) if process.stated.get(kind)), None)
    stops = process.stated[stop_from] if stop_from else []
    step, at = process.step or (None, 0)
    unread = _unread_end(process)
    if not stops and step and step.train_ms is not None and step.exact and not unread:
        stops, stop_from = [Value(step.train_ms, name, at)], "last train_time line"
    if not stops and said(STOPPED):
        # "Training complete in 612 s" may mean more than the training that the trainer timed.
        stops, stop_from = said(STOPPED), STOPPED
    totals = Found(
        tuple(said("total") if _counts_files(process) else process.stated.get("total", ()))
    )
    artifacts = Found(tuple(said("artifact")))
    kind = "total" if totals.values else "artifact_line" if artifacts.values else None
    return Log(
        name=label,
        sha256=text.sha256,
        problem=text.problem,
        skipped_bytes=text.skipped_bytes,
        encoding=text.encoding,
        seed=Found(tuple(said("seed"))),
        seed_in_name=None if "#" in label else seed_in_name(name),
        scores=_distinct(process.scores),
        counted=totals if totals.values else artifacts,
        counted_kind=kind,
        codes=Found(tuple(said("code"))),
        stop_ms=Found(tuple(stops)),
        stop_from=stop_from,
        total_eval_s=Found(tuple(said("total_eval_time_s"))),
        val_tokens=Found(tuple(said("val_tokens"))),
        ranks=Found(tuple(said("ranks"))),
        steps=Value(step.step, name, at) if step else None,
        step_ms=Value(step.average_ms, name, at) if step and step.average_ms else None,
        hardware=Found(tuple(said("gpu"))),
        torch=Found(tuple(said("torch"))),
        python=Found(tuple(said("python"))),
        cuda=Found(tuple(said("cuda"))),
    )


def _unread_end(process: _Process) -> int:
    """Return the line with an end of training that cannot be read, where none can; 0 where there is none.

    The time of an earlier step is not that of the end.
    """
    if process.stated.get(STOPPED) or process.stated.get(WORKED):
        return 0
    if ends := process.stated.get(UNREAD):
        return ends[-1].line
    step, at = process.step or (None, 0)
    return at if step is not None and step.train_ms is None else 0


def _counts_files(process: _Process) -> bool:
    """Say whether sizes of code or model are stated, so that a bare "Total" is theirs."""
    return bool(process.stated.get("code") or process.stated.get("model"))


def seed_in_name(name: str) -> int | None:
    """Return the seed that a file's name states, or that of its folder; None where several do."""
    path = PurePosixPath(name)
    for part in (path.name, path.parent.name):
        seeds = {int(match) for match in _SEED_IN_NAME.findall(part)}
        if len(seeds) == 1:
            return seeds.pop()
        if seeds:
            return None
    return None


def _distinct(stated_scores: list[Score]) -> tuple[Score, ...]:
    """Return each score once: a rounded line and the exact line after it are one; repeats are one."""
    kept: list[Score] = []
    latest: dict[str, list[int]] = {}
    for score in stated_scores:
        if score.validation:
            kept.append(score)
            continue
        twin = next(
            (i for i in reversed(latest.get(score.name, [])[-8:]) if _same(kept[i], score)), None
        )
        if twin is None:
            latest.setdefault(score.name, []).append(len(kept))
            kept.append(score)
            continue
        before = kept[twin]
        finer, other = (score, before) if score.bpb_digits >= before.bpb_digits else (before, score)
        kept[twin] = completed(finer, other)
    return tuple(kept)


def _same(one: Score, other: Score) -> bool:
    """Say whether two lines of one name state one score, be it at different precision."""
    digits = min(one.bpb_digits, other.bpb_digits)
    return abs(one.val_bpb - other.val_bpb) <= 0.51 * 10.0**-digits
