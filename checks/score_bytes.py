"""score.bytes: the bytes of "bits per byte" are the bytes of the text itself.

The denominator is counted from the documents as UTF-8, never from a table of token lengths, and the stored
tokens must decode to that text: to the text itself ("identity"), or to what the tokenizer's own normaliser
makes of it ("tokenizer").

Does not catch: a text that is not the contest's (the ruleset pins digests), or a normaliser that throws much
away, which "tokenizer" allows and only reports.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from checks.contract import Finding, Status, TextBytes

ID = "score.bytes"


def check(text: TextBytes, normalisation: str) -> Finding:
    """Say whether the validation tokens decode to the text whose bytes are the denominator.

    `normalisation` is "identity" or "tokenizer", from the ruleset. Without the tokenizer there is nothing to
    decode with: NOT-RUN. Raises ValueError for another `normalisation`.
    """
    if normalisation not in ("identity", "tokenizer"):
        raise ValueError(
            f'normalisation is {normalisation!r}; it must be "identity" or "tokenizer"'
        )
    goal = text.text_bytes if normalisation == "identity" else text.normalised_bytes
    status, message = _judge(text, normalisation)
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=text.decoded_bytes,
        limit=goal,
        unit="bytes",
        evidence=_evidence(text, normalisation),
    )


def _judge(text: TextBytes, normalisation: str) -> tuple[Status, str]:
    if text.documents <= 0 or text.text_bytes <= 0:
        return (
            Status.NOT_RUN,
            f"the validation text is empty: {text.documents:,} documents, {text.text_bytes:,} bytes",
        )
    decoded, normalised, differing = (
        text.decoded_bytes,
        text.normalised_bytes,
        text.differing_documents,
    )
    if decoded is None or normalised is None or differing is None:
        return Status.NOT_RUN, _missing(text)
    change = normalised - text.text_bytes
    faults = []
    if normalisation == "identity":
        goal, of = text.text_bytes, "the text"
        if change:
            faults.append(f"the tokenizer's normaliser changes the text by {change:+,} bytes")
    else:
        goal, of = normalised, "the normalised text"
    if decoded != goal:
        factor = f" (a factor of {decoded / goal:.4f})" if goal else ""
        faults.append(
            f"the tokens decode to {decoded:,} bytes, {decoded - goal:+,} against {of}'s {goal:,}{factor}"
        )
    if differing:
        faults.append(f"{differing:,} of {text.documents:,} documents do not decode to {of}")
    if faults:
        return Status.FAIL, "; ".join(faults)
    return (
        Status.PASS,
        f"{text.documents:,} documents decode to {of}, {decoded:,} bytes{_lost(text, change)}",
    )


def _missing(text: TextBytes) -> str:
    fields = ("decoded_bytes", "normalised_bytes", "differing_documents")
    missing = ", ".join(name for name in fields if getattr(text, name) is None)
    return (
        f"{missing} could not be counted: the data folder has no tokenizer to decode with; "
        "add it to the folder"
    )


def _lost(text: TextBytes, change: int) -> str:
    if not change:
        return ""
    share = change / text.text_bytes
    return f"; normalising changed {text.text_bytes:,} bytes by {change:+,} ({share:+.3%})"


def _evidence(text: TextBytes, normalisation: str) -> dict[str, Any]:
    change = None if text.normalised_bytes is None else text.normalised_bytes - text.text_bytes
    return {**asdict(text), "normalisation": normalisation, "normalised_minus_text_bytes": change}
