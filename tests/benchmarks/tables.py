"""How the benchmarks print a result: a table for people, or JSON."""

import json
import sys
from collections.abc import Mapping
from typing import Any


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result, whose values may be results themselves."""
    if as_json:
        json.dump(result, sys.stdout, indent=2)
        print()
        return
    for key, value in result.items():
        if isinstance(value, Mapping):
            print(key)
            for inner, entry in value.items():
                print(f"  {inner:<26} {_shown(entry)}")
        else:
            print(f"{key:<28} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1e4 else f"{value:,.4g}"
    return str(value) if isinstance(value, bool) or not isinstance(value, int) else f"{value:,}"
