"""The published JSON Schema of report.json: `python -m harness.report.schema > docs/schema/report-1.json`."""

from __future__ import annotations

import json
import sys

from harness.report import model


def text() -> str:
    """Return the schema as it is published: indented, keys in the model's own order, newline at the end."""
    return json.dumps(model.schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
