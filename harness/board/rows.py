"""From verified reports to the board: what may be ranked, in which order, and which were records.

Ranked is what passed under one ruleset, byte for byte the same, on one text. The order is the ruleset's
score, nats per token, lowest first; equal scores by date, earlier first. Whether a run is valid is not
decided here: its report says so, and harness.attest says whether the report is what its evidence gives.

Does not catch: one submission handed in twice with a byte changed, seeds chosen for their result.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import structs

from checks.contract import Baseline, SeedScore, Status
from checks.stats_margin import describe, exchange
from harness import __version__
from harness.board.folders import Verified
from harness.board.model import Bar, Board, Entry, Key, LeftOut, Question
from harness.board.records import Judged, Scores, chain
from harness.errors import UsageError
from harness.report.model import DataFacts, Report, RulesetFacts
from harness.report.reading import largest_artifact
from harness.ruleset import BaselineFile, Loaded, load, parse_baseline, shipped

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def ruleset_of(runs: Sequence[Verified], name: str | None) -> Loaded:
    """Return the ruleset whose board this is: the one named, else the shipped one of every run.

    Raises UsageError where the runs have several, or one that is not shipped; RulesetError for a bad name.
    """
    if name is not None:
        return load(name)
    digests = {run.report.ruleset.sha256: run.report.ruleset for run in runs}
    if not digests:
        raise UsageError(
            "no run verifies (with a --key, none that it signed), so nothing says whose board this is; give "
            "--ruleset to see why"
        )
    if len(digests) > 1:
        several = ", ".join(sorted(f"{r.name} ({r.sha256[:12]})" for r in digests.values()))
        raise UsageError(
            f"the runs were judged under {len(digests)} rulesets, {several}; give --ruleset"
        )
    (digest,) = digests
    found = next((rules for rules in map(load, shipped()) if rules.sha256 == digest), None)
    if found is None:
        raise UsageError(
            f"the runs' ruleset, {digests[digest].name} ({digest[:12]}), is not one that is shipped; give "
            "its file with --ruleset"
        )
    return found


def board(
    runs: Sequence[Verified],
    refused: Sequence[LeftOut],
    rules: Loaded,
    keys: Sequence[Key],
    *,
    text: str | None = None,
) -> Board:
    """Rank verified runs under a ruleset; `refused` are those that did not verify.

    `text` is the digest of the validation text, where neither the ruleset names it nor all runs share it.
    Raises UsageError where the runs were scored on several texts and nothing says which one counts.
    """
    left_out = list(refused)
    kept = _sift(runs, left_out, lambda run: _unfit(run, rules))
    text = _the_text(kept, rules, text)
    kept = _sift(kept, left_out, lambda run: _other_data(run, rules, text))
    kept = sorted(kept, key=lambda run: (run.report.created_utc, run.report.run_id, run.place))
    kept = _once(kept, left_out)
    entries, bar, rate = _entries(kept, rules)
    margin = rules.ruleset.margin()
    return Board(
        harness_version=__version__,
        ruleset=_facts(rules),
        question=Question(
            test=rules.ruleset.stats.test,
            margin_nats=margin.margin_nats,
            margin_in_null=margin.margin_in_null,
            alpha=margin.alpha,
            min_seeds=margin.min_seeds,
        ),
        text_sha256=text,
        bytes_per_token=rate,
        keys=tuple(keys),
        bar=bar,
        entries=tuple(entries),
        left_out=tuple(sorted(left_out, key=lambda each: each.place)),
    )


def _facts(rules: Loaded) -> RulesetFacts:
    own = rules.ruleset
    return RulesetFacts(name=own.name, version=own.version, title=own.title, sha256=rules.sha256)


# What may be ranked.


def _sift(
    runs: Sequence[Verified], left_out: list[LeftOut], why_not: Callable[[Verified], str]
) -> list[Verified]:
    """Return the runs for which there is no reason against; put the others with the reason to `left_out`."""
    kept = []
    for run in runs:
        reason = why_not(run)
        if reason:
            left_out.append(_left_out(run, reason))
        else:
            kept.append(run)
    return kept


def _left_out(run: Verified, reason: str) -> LeftOut:
    report = run.report
    return LeftOut(
        place=run.place, name=report.submission.name, run_id=report.run_id, reason=reason
    )


def _unfit(run: Verified, rules: Loaded) -> str:
    report = run.report
    if report.ruleset.sha256 != rules.sha256:
        other = f"{report.ruleset.name} {report.ruleset.version} ({report.ruleset.sha256[:12]})"
        return f"judged under another ruleset, {other}"
    if report.verdict is not Status.PASS:
        return f"{report.verdict}: {report.verdict_message}"
    if not report.seeds or any(seed.nats_per_token is None for seed in report.seeds):
        return "a seed has no score"
    if _DATE.fullmatch(report.created_utc) is None:
        return "its date is none"
    return ""


def text_of(data: DataFacts) -> str:
    """Return the digest of the text that was scored; of the stream of tokens, where nobody has the text."""
    return data.val_text_sha256 or data.val_sha256


def _the_text(runs: Sequence[Verified], rules: Loaded, given: str | None) -> str | None:
    named = rules.ruleset.data.val_text_sha256
    if named or given:
        return named or given
    texts = {text_of(run.report.data) for run in runs}
    if len(texts) > 1:
        several = ", ".join(sorted(text[:12] for text in texts))
        raise UsageError(
            f"the runs were scored on {len(texts)} texts ({several}) and the ruleset names none; give the "
            "data folder with --data"
        )
    return next(iter(texts), None)


def _other_data(run: Verified, rules: Loaded, text: str | None) -> str:
    scored = text_of(run.report.data)
    if scored != text:
        return f"scored on another text ({scored[:12]})"
    train = rules.ruleset.data.train_text_sha256
    if train and run.train_text_sha256 != train:
        found = run.train_text_sha256
        return f"trained on other data ({found[:12] if found else 'digest unknown'})"
    return ""


def _once(by_date: Sequence[Verified], left_out: list[LeftOut]) -> list[Verified]:
    """Return each submission once, its earliest run; what the later ones scored does not count."""
    first: dict[str, Verified] = {}
    for run in by_date:
        earlier = first.setdefault(run.report.submission.digest, run)
        if earlier is run:
            continue
        same_run = earlier.report.run_id == run.report.run_id
        what = (
            "the same run as" if same_run else "the same submission, file by file, as the earlier"
        )
        left_out.append(_left_out(run, f"{what} {earlier.place}"))
    return list(first.values())


# Scores, records, order.


def _entries(
    by_date: Sequence[Verified], rules: Loaded
) -> tuple[list[Entry], Bar | None, float | None]:
    if not by_date:
        return [], None, None
    own = _own_baseline(by_date, rules)
    first = by_date[0].report.seeds[0]
    reference = Baseline(
        name="",
        nats_per_token=(),
        seeds=(),
        bytes_per_token=own.bytes_per_token if own else first.bytes / first.tokens,
    )
    scored = [
        Scores(name=run.report.submission.name, nats_S=_nats(run.report, reference))
        for run in by_date
    ]
    bar = Scores(name=own.name, nats_S=own.nats_per_token) if own else None
    judged = chain(scored, bar, rules.ruleset.margin())
    entries = [
        _entry(run, scores, verdict, rules)
        for run, scores, verdict in zip(by_date, scored, judged, strict=True)
    ]
    entries.sort(key=lambda entry: (entry.nats_per_token_mean, entry.created_utc, entry.run_id))
    ranked = [structs.replace(entry, rank=rank) for rank, entry in enumerate(entries, 1)]
    return ranked, _bar(own), reference.bytes_per_token


def _own_baseline(runs: Sequence[Verified], rules: Loaded) -> BaselineFile | None:
    """Return the ruleset's baseline where it was measured on the text of these runs."""
    if rules.baseline_text is None:
        return None
    own = parse_baseline(rules.baseline_text, rules.ruleset.stats.baseline)
    fits = any(
        own.measured_on(
            text_sha256=run.report.data.val_text_sha256,
            tokenizer_sha256=run.report.data.tokenizer_sha256,
            tokens=run.report.data.val_tokens,
        )
        for run in runs
    )
    return own if fits else None


def _bar(own: BaselineFile | None) -> Bar | None:
    if own is None:
        return None
    mean = describe(own.nats_per_token).mean
    return Bar(name=own.name, date=own.date, seeds=len(own.seeds), nats_per_token_mean=mean)


def _nats(report: Report, reference: Baseline) -> tuple[float, ...]:
    """Return nats per token of the board's tokenizer for each seed."""
    scores = [
        SeedScore(
            seed=seed.seed,
            sum_nats=(seed.nats_per_token or 0.0) * seed.tokens,
            tokens=seed.tokens,
            text_bytes=seed.bytes,
        )
        for seed in report.seeds
    ]
    return exchange(scores, reference)[0]


def _entry(run: Verified, scores: Scores, judged: Judged, rules: Loaded) -> Entry:
    """Return an entry that is not ranked yet."""
    report, sample = run.report, describe(scores.nats_S)
    largest = largest_artifact(report)
    bits = [seed.bits_per_byte for seed in report.seeds if seed.bits_per_byte is not None]
    return Entry(
        rank=0,
        name=report.submission.name,
        authors=report.submission.authors,
        run_id=report.run_id,
        submission_digest=report.submission.digest,
        created_utc=report.created_utc,
        seeds=tuple(seed.seed for seed in report.seeds),
        nats_per_token_mean=sample.mean,
        interval=sample.ci,
        bits_per_byte_mean=describe(bits).mean if bits else None,
        artifact_bytes=largest.artifact_bytes if largest else None,
        record=judged.record,
        against=judged.against,
        p=judged.p,
        why=judged.why,
        ruleset=report.ruleset,
        signed_by=run.signed_by,
        notes=tuple(_notes(report, rules)),
    )


def _notes(report: Report, rules: Loaded) -> list[str]:
    own = rules.baseline_text
    if report.baseline is None or own is None:
        return []
    if report.baseline.sha256 == hashlib.sha256(own.encode()).hexdigest():
        return []
    return [f"judged against a baseline of its own, {report.baseline.name}"]


def text_of_folder(folder: Path) -> str:
    """Return the digest of the validation text of a data folder, as `text_of` has it for a report.

    Raises DataError where it is none.
    """
    from harness.data.dataset import shards_sha256
    from harness.data.record import read_record

    val = read_record(folder).val
    return val.text_sha256 or shards_sha256(shard.sha256 for shard in val.shards)
