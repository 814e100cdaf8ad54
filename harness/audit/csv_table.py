"""An audit as CSV: one row a record, plain numbers, for a spreadsheet.

Words are shown as for a terminal, since a table may be printed in a CI job. A cell that a spreadsheet would
take for a formula gets an apostrophe in front (OWASP, "CSV injection").
"""

from __future__ import annotations

import csv
import io

from harness.audit.model import Audit, Audited
from harness.audit.sections import SORTS, fails, worst_of
from harness.report.escape import for_terminal


def render_csv(audit: Audit, sort: str = "id") -> str:
    """Return the rows under their headings, lines ended as RFC 4180 has it."""
    rows = [_row(folder) for folder in sorted(audit.folders, key=SORTS[sort])]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [])
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _row(folder: Audited) -> dict[str, object]:
    words, head, claims = folder.verdicts, folder.headline, folder.json
    statistics = words.statistics or {}
    first = folder.runs[0] if folder.runs else None
    return {
        "id": folder.id,
        "status": worst_of(folder),
        "fails": " ".join(fails(folder)),
        "date": folder.date,
        "track": folder.track,
        "claimed_val_bpb": claims.claimed_val_bpb,
        "mean_val_bpb": head.mean_val_bpb,
        "std_val_bpb": head.std_val_bpb,
        "claimed_val_loss": claims.claimed_val_loss,
        "mean_val_loss": head.mean_val_loss,
        "n": head.n,
        "seeds": " ".join(str(run.seed) for run in folder.runs if run.seed is not None),
        "claimed_bytes": claims.claimed_bytes,
        "max_counted_bytes": folder.max_counted_bytes,
        "max_train_stop_ms": folder.max_train_stop_ms,
        "max_eval_s": folder.max_eval_s,
        "val_tokens": first.val_tokens if first else None,
        "bytes_per_token": first.bytes_per_token if first else None,
        "tokenizer": folder.tokenizer_by_ratio,
        "against": statistics.get("against"),
        "delta_nats": statistics.get("delta_nats"),
        "p_equal": statistics.get("p_equal"),
        "p_margin": statistics.get("p_margin"),
        "seeds_needed": statistics.get("seeds_needed"),
        "json_vs_logs": words.json_vs_logs,
        "json_val_loss_vs_logs": words.json_val_loss_vs_logs,
        "json_bytes_vs_logs": words.json_bytes_vs_logs,
        "cap": words.cap,
        "train_time_strict": words.train_time_strict,
        "train_time_grace_1s": words.train_time_grace_1s,
        "eval_time": words.eval_time,
        "fingerprint": words.fingerprint,
        "seed_findings": " ".join(words.seeds),
        "ambiguous": sum(len(run.ambiguous) for run in folder.runs) + len(claims.ambiguous),
        "problems": len(folder.problems),
    }


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(value)
    text = for_terminal(str(value), 500)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\\t", "\\r")) else text
