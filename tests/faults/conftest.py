"""A bench for each test, and the claim that every test makes: nothing is left on the machine."""

import pytest

from tests.faults import bench as benches
from tests.faults.minis import mini, rules


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """The submission that does nothing wrong."""
    return mini(tmp_path_factory.mktemp("honest") / "mine")


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """The ruleset for submissions that are over in no time."""
    return rules(tmp_path_factory.mktemp("quick"))


@pytest.fixture
def bench(tmp_path, tiny_data):
    """Where judges are started; whatever a test does, the machine is as it was when its runs are deleted."""
    with benches.bench(tmp_path, tiny_data.folder) as made:
        yield made
        assert made.left() == []
