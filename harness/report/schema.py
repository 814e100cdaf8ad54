"""The published JSON Schemas: `python -m harness.report.schema NAME > docs/schema/NAME-1.json`.

NAME is report or result; without one it is report.
"""

from __future__ import annotations

import json
import sys

from harness.report import model, result

SCHEMAS = {"report": model.schema, "result": result.schema}


def text(name: str = "report") -> str:
    """Return a schema as it is published: indented, keys in the model's own order, newline at the end."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text(*sys.argv[1:2]))
