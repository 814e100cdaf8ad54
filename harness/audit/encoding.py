"""A record and its findings as the audit's result: plain fields, each with its place beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from checks.contract import Finding
from checks.published import (
    Claims,
    Found,
    Log,
    Published,
    Run,
    Score,
    Value,
    bytes_per_token,
    mean,
    std,
)
from checks.published_limits import Limits
from harness.audit.model import (
    Ambiguous,
    Audited,
    Candidate,
    HeadlineFacts,
    JsonClaims,
    LogFacts,
    Problem,
    RunFacts,
    ScoreFacts,
    SourceNote,
    Sources,
    Verdicts,
)

MAX_SCORES = 64
"""Of a log that are written out; what the headline is made of is in the runs in any case."""


def audited(
    record: Published, findings: tuple[Finding, ...], notes: Iterable[SourceNote], limits: Limits
) -> Audited:
    """Return one folder's part of the result."""
    used = {run.log.name for run in record.headline.runs}
    ratio = mean([run.bytes_per_token for run in record.headline.runs])
    near = [
        t.name
        for t in limits.tokenizers
        if ratio and abs(ratio / t.bytes_per_token - 1) <= limits.ratio_tolerance
    ]
    over_cap = [log.name for log in record.logs if (log.counted.value or 0) > limits.cap_bytes]
    over_train = [
        log.name for log in record.logs if (log.stop_ms.value or 0.0) > limits.train_s * 1e3
    ]
    took = {log.name: _longest_s(log) for log in record.logs}
    own = [
        run.log.total_eval_s.value
        if run.log.total_eval_s.value is not None
        else (run.score.eval_ms or 0.0) / 1e3
        for run in record.headline.runs
    ]
    holders = record.headline.runs or record.logs
    timed = record.track is None or record.track.value == "record"
    ambiguous: Ambiguous = {}
    if record.track is None:
        ambiguous["track"] = (
            Candidate(value=limits.tracks[1], place="."),
            Candidate(value=limits.tracks[0], place=".", words="assumed: no file says it"),
        )
    return Audited(
        id=record.id,
        date=record.date.value if record.date else None,
        track=limits.tracks[0 if timed else 1],
        pull_request=record.pull_request,
        json=_json(record.claims),
        headline=HeadlineFacts(
            rule=record.headline.rule,
            metric_line=record.headline.name or None,
            reproduces_claim=record.headline.reproduces,
            mean_val_bpb=_rounded(mean([run.score.val_bpb for run in record.headline.runs])),
            mean_val_loss=_rounded(mean([run.score.val_loss for run in record.headline.runs])),
            std_val_bpb=_rounded(std([run.score.val_bpb for run in record.headline.runs])),
            std_val_loss=_rounded(std([run.score.val_loss for run in record.headline.runs])),
            n=len(record.headline.runs),
        ),
        runs=tuple(_run(run, record) for run in record.headline.runs),
        other_logs=tuple(log.name for log in record.logs if log.name not in used),
        logs=tuple(_log(log) for log in record.logs),
        logs_over_cap=tuple(over_cap),
        logs_over_600s_train=tuple(over_train) if timed else (),
        logs_over_600s_eval=tuple(
            name for name, seconds in took.items() if timed and seconds > limits.score_s
        ),
        max_counted_bytes=max(
            (of.counted.value for of in holders if of.counted.value), default=None
        ),
        max_train_stop_ms=max(
            (of.stop_ms.value for of in holders if of.stop_ms.value), default=None
        ),
        max_eval_s=max((seconds for seconds in own if seconds), default=None),
        ranks=tuple(sorted({of.ranks.value for of in holders if of.ranks.value is not None})),
        tokenizer_by_ratio=near[0] if near else None,
        scripts={value.file: value.value for value in record.scripts},
        artifacts={value.file: value.value for value in record.artifacts},
        verdicts=_verdicts({finding.id: finding for finding in findings}),
        findings=findings,
        source_notes=tuple(notes),
        problems=tuple(Problem(file=value.file, message=value.value) for value in record.problems),
        sources={
            name: value.place
            for name, value in (("date", record.date), ("track", record.track))
            if value is not None
        },
        ambiguous=ambiguous,
    )


def _json(claims: Claims | None) -> JsonClaims:
    claims = claims or Claims(file="", strict_json=False, error="there is no submission.json")
    used = (
        claims
        if not claims.mended
        else Claims(file=claims.file, strict_json=False, error=claims.error)
    )
    fields: dict[str, Found[Any]] = {
        "claimed_val_bpb": used.val_bpb,
        "claimed_val_loss": used.val_loss,
        "claimed_bytes": used.bytes_total,
        "claimed_bytes_code": used.bytes_code,
        "claimed_std_val_bpb": used.std_bpb,
        "name": used.name,
        "author": used.author,
        "hardware": used.hardware,
    }
    ratio = bytes_per_token(used.val_loss.value, used.val_bpb.value)
    sources = _sources(fields)
    if used.seeds_line:
        sources["claimed_seeds"] = f"{used.file}:{used.seeds_line}"
    for claim in used.per_seed:
        if claim.val_bpb is not None:
            sources[f"claimed_per_seed_val_bpb.{claim.seed}"] = claim.val_bpb.place
    for value in used.eval_s:
        sources[f"claimed_eval_seconds.{value.words}"] = value.place
    return JsonClaims(
        file=claims.file or None,
        strict_json=claims.strict_json,
        error=claims.error or None,
        claimed_val_bpb=used.val_bpb.value,
        claimed_val_bpb_key=_key(used.val_bpb),
        claimed_val_loss=used.val_loss.value,
        claimed_bytes=used.bytes_total.value,
        claimed_bytes_key=_key(used.bytes_total),
        claimed_bytes_code=used.bytes_code.value,
        claimed_std_val_bpb=used.std_bpb.value,
        claimed_seeds=used.seeds or None,
        claimed_per_seed_val_bpb={str(c.seed): c.val_bpb.value for c in used.per_seed if c.val_bpb}
        or None,
        claimed_per_seed_val_loss={
            str(c.seed): c.val_loss.value for c in used.per_seed if c.val_loss
        }
        or None,
        claimed_eval_seconds={value.words: value.value for value in used.eval_s} or None,
        bytes_per_token=_rounded(ratio, 4),
        name=used.name.value,
        author=used.author.value,
        hardware=used.hardware.value,
        sources=sources,
        ambiguous=_ambiguous(fields),
    )


def _run(run: Run, record: Published) -> RunFacts:
    own = next(
        (log for log in record.logs if log.name in (run.log.name, *run.joined) and log.steps),
        run.log,
    )
    fields: dict[str, Found[Any]] = {
        "seed": run.log.seed,
        "counted_bytes": run.counted,
        "train_stop_ms": run.stop_ms,
        "total_eval_time_s": run.log.total_eval_s,
        "val_tokens": run.val_tokens,
        "ranks": run.ranks,
        "hardware": own.hardware,
        "torch": own.torch,
        "python": own.python,
        "cuda": own.cuda,
    }
    sources = _sources(fields) | {"val_bpb": run.score.place}
    if run.score.val_loss is not None:
        sources["val_loss"] = run.score.loss_place or run.score.place
    if run.score.eval_ms is not None:
        sources["eval_ms"] = run.score.eval_place or run.score.place
    if own.steps is not None:
        sources["steps"] = own.steps.place
    ambiguous = _ambiguous(fields)
    if run.others:
        ambiguous["val_bpb"] = tuple(
            Candidate(value=score.val_bpb, place=score.place, words=score.name)
            for score in (*run.others, run.score)
        )
    scored = run.scored_bytes
    return RunFacts(
        log=run.log.name,
        seed=run.seed,
        seed_in_file_name=run.log.seed_in_name,
        metric_line=run.score.name,
        val_loss=run.score.val_loss,
        val_bpb=run.score.val_bpb,
        counted_bytes=run.counted.value,
        counted_bytes_kind=run.counted_kind,
        counted_bytes_line=_key(run.counted),
        train_stop_ms=run.stop_ms.value,
        train_stop_from=run.stop_from,
        eval_ms=run.score.eval_ms,
        total_eval_time_s=run.log.total_eval_s.value,
        val_tokens=run.val_tokens.value,
        ranks=run.ranks.value,
        steps=own.steps.value if own.steps else None,
        step_avg_ms=own.step_ms.value if own.step_ms else None,
        hardware=own.hardware.value,
        torch=own.torch.value,
        python=own.python.value,
        cuda=own.cuda.value,
        joined_logs=run.joined,
        bytes_logged=run.score.text_bytes,
        bytes_per_token=_rounded(run.bytes_per_token, 4),
        scored_bytes=round(scored) if scored is not None else None,
        sources=sources,
        ambiguous=ambiguous,
    )


def _log(log: Log) -> LogFacts:
    fields: dict[str, Found[Any]] = {
        "seed_logged": log.seed,
        "counted_bytes": log.counted,
        "train_stop_ms": log.stop_ms,
        "total_eval_time_s": log.total_eval_s,
        "val_tokens": log.val_tokens,
        "ranks": log.ranks,
    }
    final = [score for score in log.scores if not score.validation]
    return LogFacts(
        log=log.name,
        sha256=log.sha256,
        problem=log.problem,
        seed_logged=log.seed.value,
        seed_in_file_name=log.seed_in_name,
        encoding=log.encoding,
        counted_bytes=log.counted.value,
        train_stop_ms=log.stop_ms.value,
        total_eval_time_s=log.total_eval_s.value,
        val_tokens=log.val_tokens.value,
        ranks=log.ranks.value,
        final_metrics=tuple(_score(score) for score in final[-MAX_SCORES:]),
        sources=_sources(fields),
        ambiguous=_ambiguous(fields),
    )


def _score(score: Score) -> ScoreFacts:
    return ScoreFacts(
        line=score.name,
        val_loss=score.val_loss,
        val_bpb=score.val_bpb,
        eval_ms=score.eval_ms,
        bytes_per_token=_rounded(bytes_per_token(score.val_loss, score.val_bpb), 4),
        place=score.place,
    )


def _verdicts(findings: dict[str, Finding]) -> Verdicts:
    def word(name: str, key: str = "outcome") -> Any:
        finding = findings.get(name)
        return finding.evidence.get(key) if finding else None

    seeds = [*(word("claims.seeds", "outcomes") or ()), *(word("evidence.seeds", "outcomes") or ())]
    return Verdicts(
        json_vs_logs=word("claims.score"),
        json_val_loss_vs_logs=word("claims.loss"),
        json_bytes_vs_logs=word("claims.bytes"),
        cap=word("evidence.bytes"),
        train_time_strict=word("evidence.train"),
        train_time_grace_1s=word("evidence.train", "outcome_with_grace"),
        eval_time=word("evidence.score"),
        fingerprint=word("claims.ratio"),
        seeds=tuple(dict.fromkeys(seeds)),
        claimed_seeds_without_log=tuple(word("claims.seeds", "without_log") or ()),
        statistics=findings["evidence.margin"].evidence or None
        if "evidence.margin" in findings
        else None,
    )


def _longest_s(log: Log) -> float:
    times = [
        score.eval_ms / 1e3
        for score in log.scores
        if score.eval_ms is not None and not score.validation
    ]
    return max([log.total_eval_s.value or 0.0, *times])


def _sources(fields: dict[str, Found[Any]]) -> Sources:
    return {name: found.best.place for name, found in fields.items() if found.best is not None}


def _ambiguous(fields: dict[str, Found[Any]]) -> Ambiguous:
    return {
        name: _candidates(found.candidates) for name, found in fields.items() if found.candidates
    }


def _candidates(values: tuple[Value[Any], ...]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(value=v.value, place=v.place, words=v.words) for v in values[:MAX_SCORES]
    )


def _key(found: Found[Any]) -> str | None:
    return found.best.words if found.best is not None else None


def _rounded(value: float | None, digits: int = 8) -> float | None:
    return None if value is None else round(value, digits)
