"""The published JSON Schema of statements.

Write it with `python -m harness.attest.schema > docs/schema/statement-1.json`.
"""

from __future__ import annotations

import json
import sys

from harness.attest import statement


def text() -> str:
    """Return the schema as it is published: indented, keys in the model's own order, newline at the end."""
    return json.dumps(statement.schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
