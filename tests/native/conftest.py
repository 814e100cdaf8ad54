import os
from pathlib import Path

import pytest
from hypothesis import settings

from native import counts

# Under the sanitisers an example costs about ten times as much: tests/sanitise asks for these few.
settings.register_profile("sanitised", settings.get_profile("tests"), max_examples=25)


def pytest_configure() -> None:
    """Refuse to test another build than the one that was asked for."""
    wanted = os.environ.get("NATIVE_BUILD")
    found = counts.compiled and Path(counts.compiled.__file__).resolve()
    if wanted and found != Path(wanted).resolve():
        raise pytest.UsageError(f"NATIVE_BUILD asks for {wanted}; what was imported is {found}")
