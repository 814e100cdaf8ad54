"""The formats in which a result is shown; each renderer is imported when it is asked for."""

from __future__ import annotations

from harness.report.result import Result

FORMATS = ("text", "json", "markdown", "github", "junit", "sarif")


def render(result: Result, style: str) -> str:
    """Return a result in one of FORMATS, as it is printed or written to a file.

    Raises ValueError for any other word.
    """
    match style:
        case "text":
            from harness.report.result_text import render_text

            return render_text(result)
        case "json":
            from harness.report.plain_json import for_log
            from harness.report.result import encode

            return for_log(encode(result).decode())
        case "markdown":
            from harness.report.result_markdown import summary

            return summary(result)
        case "github":
            from harness.report.annotations import render_annotations

            return render_annotations(result)
        case "junit":
            from harness.report.junit import render_junit

            return render_junit(result)
        case "sarif":
            from harness.report.sarif import render_sarif

            return render_sarif(result)
    raise ValueError(f"no format {style!r}; there are {', '.join(FORMATS)}")
