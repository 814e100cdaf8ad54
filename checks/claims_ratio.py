"""claims.ratio: nats per token over nats per byte are the bytes a token of a tokenizer, over the whole text.

The ratio val_loss / (ln 2 x val_bpb) is a constant of tokenizer and text, and times the tokens it is the
text's length. Spaces counted twice, sentinels counted as bytes, truncated and foreign validation sets all
move it (proposed in openai/parameter-golf #1719). Does not catch: faults that leave both alone, such as a
text that is normalised before it is scored. Mixtures whose loss is that of one part alone are recognised by
`claims.loss`, and by a ratio that no tokenizer has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from checks.contract import Finding, Status
from checks.published import Published, Run
from checks.published_limits import Limits, Tokenizer

ID = "claims.ratio"

_SPACES = (1.167, 1.180, "as where leading spaces are counted twice")
_SENTINELS = (1.085, 1.094, "as where case sentinels are counted as bytes")
_FALLBACK = (1.038, 1.044, "as where byte fallback is counted as three bytes")
_FACTORS = (_SPACES, _SENTINELS, _FALLBACK)
"""Published errors of the byte count, by how much they lengthen a text."""
_PART, _MORE = 0.95, 1.03
"""Shares of the text from which a difference is more likely another text than another count of bytes."""


def check(record: Published, limits: Limits) -> Finding:
    """Compare each run's bytes per token, and the bytes of its text, with the contest's constants.

    `measured` is the bytes of text that a run's figures imply (where tokens are not logged: bytes per token),
    `limit` the constant. FAIL: another text, or bytes counted otherwise; the message says which of the
    published errors fits. Without tokens an unknown ratio may be that of a new tokenizer, which is allowed:
    it is NOT-RUN, unless runs of one score disagree about it. NOT-RUN, too: no run states both scores.
    """
    runs = record.headline.runs
    disagree = _spread(runs, limits)
    found = [finding for run in runs if (finding := _of_run(run, limits, disagree)) is not None]
    if not found:
        return Finding(
            id=ID,
            status=Status.NOT_RUN,
            message="no run states nats per token and bits per byte of one score",
            evidence={"outcome": None},
        )
    order = (Status.FAIL, Status.NOT_RUN, Status.PASS)
    return min(found, key=lambda finding: order.index(finding.status))


def _of_run(run: Run, limits: Limits, disagree: str) -> Finding | None:
    """Judge one run; `disagree` says where the ratios of all of them do."""
    ratio, scored = run.bytes_per_token, run.scored_bytes
    if ratio is None:
        return _of_bytes(run, limits)
    known = min(limits.tokenizers, key=lambda t: abs(ratio / t.bytes_per_token - 1))
    near = abs(ratio / known.bytes_per_token - 1) <= limits.ratio_tolerance
    evidence = {"bytes_per_token": ratio, "tokenizer": known.name if near else None}
    tokens = None if run.val_tokens.candidates else run.val_tokens.value
    if tokens is None and run.score.text_bytes is not None:
        return _of_bytes(run, limits)
    if tokens is None or scored is None:
        return _of_ratio(run, ratio, known, near, limits, disagree, evidence)
    text = limits.text_bytes
    says = f"{run.score.place}: {ratio:.4f} bytes a token over {tokens:,} tokens are {_mb(scored)} MB of text"
    usual = near and tokens in known.val_tokens
    if usual or abs(scored / text - 1) <= limits.bytes_tolerance:
        says += f"; the validation text has {_mb(text)}"
        return _finding(Status.PASS, "canonical_bytes", says, scored, text, "bytes", evidence)
    says += f", and the validation text has {_mb(text)}"
    if near:
        says += f" ({known.name}): {_share(scored / text)}"
    else:
        says += _guess(ratio, known, limits, tokens) or f": {_share(scored / text)}"
    return _finding(Status.FAIL, "other_bytes", says, scored, text, "bytes", evidence)


def _of_ratio(
    run: Run,
    ratio: float,
    known: Tokenizer,
    near: bool,
    limits: Limits,
    disagree: str,
    evidence: Mapping[str, object],
) -> Finding:
    """Judge a run whose tokens are not stated, or stated in several ways."""
    says = f"{run.score.place}: {ratio:.4f} bytes a token"
    if near:
        status, outcome = Status.PASS, "canonical_ratio"
        says += f", as {known.name} has; tokens are not stated"
    else:
        status, outcome = Status.NOT_RUN, "other_ratio"
        says += f", which no tokenizer of the contest has{_guess(ratio, known, limits)}"
        why = disagree or _all_other(run, ratio, limits)
        if why:
            status = Status.FAIL
            says += f"; {why}"
        else:
            says += "; tokens are not stated, so it may be a new one's"
    return _finding(status, outcome, says, ratio, known.bytes_per_token, "bytes/token", evidence)


def _spread(runs: Sequence[Run], limits: Limits) -> str:
    """Return that the runs disagree about a constant of their tokenizer, or ""."""
    ratios = [ratio for run in runs if (ratio := run.bytes_per_token) is not None]
    least, most = min(ratios, default=1.0), max(ratios, default=1.0)
    if most / least - 1 <= 2 * limits.ratio_tolerance:
        return ""
    return f"the runs have {least:.4f} to {most:.4f}, and one tokenizer has one ratio"


def _all_other(run: Run, ratio: float, limits: Limits) -> str:
    """Return that each of the numbers of tokens stated gives another text, or ""."""
    tokens = [value.value for value in run.val_tokens.candidates]
    texts = [count * ratio for count in tokens]
    if not texts or any(abs(t / limits.text_bytes - 1) <= limits.bytes_tolerance for t in texts):
        return ""
    shown = " or ".join(f"{count:,}" for count in tokens[:3])
    sizes = " or ".join(dict.fromkeys(_mb(text) for text in texts[:3]))
    return f"over {shown} tokens they are {sizes} MB, and the validation text has {_mb(limits.text_bytes)}"


def _of_bytes(run: Run, limits: Limits) -> Finding | None:
    """Judge a run whose line states the bytes that it scored and no loss."""
    scored, text = run.score.text_bytes, limits.text_bytes
    if scored is None:
        return None
    says = f"{run.score.place}: {_mb(scored)} MB of text were scored, and the validation text has {_mb(text)}"
    if abs(scored / text - 1) <= limits.bytes_tolerance:
        return _finding(Status.PASS, "canonical_bytes", says, float(scored), text, "bytes", {})
    says += f": {_share(scored / text)}"
    return _finding(Status.FAIL, "other_bytes", says, float(scored), text, "bytes", {})


def _guess(ratio: float, nearest: Tokenizer, limits: Limits, tokens: int = 0) -> str:
    """Return which published error fits, or "" where the length of the text says more."""
    for tokenizer in limits.tokenizers:
        # A byte is a byte: none of these errors is possible there.
        foreign = tokens and tokenizer.val_tokens and tokens not in tokenizer.val_tokens
        if foreign or tokenizer.bytes_per_token <= 1:
            continue
        factor = ratio / tokenizer.bytes_per_token
        for low, high, words in _FACTORS:
            if low <= factor <= high:
                return f": {factor:.3f} times that of {tokenizer.name}, {words}"
    share = ratio * tokens / limits.text_bytes
    if tokens and not _PART <= share <= _MORE:
        return ""
    factor = ratio / nearest.bytes_per_token
    return f": {factor:.3f} times that of {nearest.name}, or scores of two different things"


def _share(share: float) -> str:
    """Return what a length of text says of itself."""
    if share < 1:
        return f"{share:.0%} of it"
    return f"{share:.0%} of it: another text, or bytes counted more than once"


def _mb(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:.2f}"


def _finding(
    status: Status,
    outcome: str,
    message: str,
    measured: float,
    limit: float,
    unit: str,
    evidence: Mapping[str, object],
) -> Finding:
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=measured,
        limit=limit,
        unit=unit,
        evidence={"outcome": outcome, **evidence},
    )
