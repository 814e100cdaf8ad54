"""The JSON Schema of a comparison: `python -m harness.compare.schema > docs/schema/compare-1.json`."""

from __future__ import annotations

import json
import sys

from harness.compare import model


def text() -> str:
    """Return the schema as it is published: indented, newline at the end."""
    return json.dumps(model.schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
