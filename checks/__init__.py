"""One rule a module: evidence in, finding out.

`ORDER` lists the ids in the order of a report. Every check is a pure function of the records in
`checks.contract`; none knows another, and none knows the harness.
"""

ORDER = (
    "time.setup",
    "time.train",
    "time.load",
    "time.score",
    "bytes.artifact",
    "score.complete",
    "score.bytes",
    "order.future",
    "order.blind",
    "norm.sum",
    "norm.target",
    "repro.score",
    "stats.margin",
)

GATE = ("gate.scope", "gate.size", "gate.result", "gate.judged")
"""What is said of a pull request itself; the last two are about the judge."""

PREFLIGHT = ("submission.manifest", "submission.files", "submission.imports", "submission.session")
"""What a trial without training says of a submission's folder, before what its session shows."""
