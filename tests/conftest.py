import os
import signal

import pytest
from hypothesis import settings

from harness.data.dataset import Dataset
from harness.selftest import tiny

# Shared cores stall for longer than hypothesis allows one example; pytest's own time limit still holds.
# In CI the examples are the same each time, so that a red run is about the change; elsewhere they explore.
settings.register_profile(
    "tests", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("tests")

# A shell that starts the tests in the background ignores SIGINT for them and all they start; those that
# press ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny data set, made once; tests read it and never write to it."""
    return tiny.make(tmp_path_factory.mktemp("tiny") / "data")
