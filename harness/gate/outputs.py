"""What the gate leaves for a CI job: one folder with the result in every format.

OUT/result.json    the result itself (docs/schema/result-1.json)
OUT/summary.md     for $GITHUB_STEP_SUMMARY: at most 1,024 KiB
OUT/comment.md     for a comment on the pull request: at most 64 KiB
OUT/result.sarif   for code scanning
OUT/junit.xml      for whatever reads test results
OUT/annotations.txt  workflow commands, to be printed as they are
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError
from harness.journal import write_atomically
from harness.report.formats import render
from harness.report.result import Result, encode
from harness.report.result_markdown import comment, summary


def write_outputs(result: Result, out: Path) -> None:
    """Write every format below `out`, which is made.

    Raises UsageError where that is not possible.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("result.json", encode(result)),
            ("summary.md", summary(result).encode()),
            ("comment.md", comment(result).encode()),
            ("result.sarif", render(result, "sarif").encode()),
            ("junit.xml", render(result, "junit").encode()),
            ("annotations.txt", render(result, "github").encode()),
        ):
            write_atomically(out / name, text)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; choose a writable folder") from None


def append_summary(result: Result, file: Path) -> None:
    """Append the summary to the file that a CI step names.

    Raises UsageError where that is not possible.
    """
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(summary(result))
    except OSError as error:
        raise UsageError(f"--summary {file}: {error.strerror}; name a writable file") from None
