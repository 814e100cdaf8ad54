"""A bench for each test, and the claim that every test makes: nothing is left on the machine."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests import cells, machines
from tests.faults import bench as benches
from tests.faults.minis import mini, rules

_, USER, _, RUNNER = machines.ROWS


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """The submission that does nothing wrong."""
    return mini(tmp_path_factory.mktemp("honest") / "mine")


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """The ruleset for submissions that are over in no time."""
    return rules(tmp_path_factory.mktemp("quick"))


@pytest.fixture
def level():
    """The strongest level that works here; what the levels differ by is tests/harness/sandbox's subject."""
    return cells.mechanisms().level()


@pytest.fixture
def bench(tmp_path, tiny_data):
    """Where judges are started; whatever a test does, the machine is as it was when its runs are deleted."""
    with benches.bench(tmp_path, tiny_data.folder) as made:
        yield made
        assert made.left() == []


@pytest.fixture
def elsewhere(request, tiny_data):
    """The same on another machine, whose row the test names by an indirect parameter, in a place open to all.

    pytest's own folders are closed to everybody else.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can put on another machine")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        with benches.bench(Path(folder), tiny_data.folder, row=request.param) as made:
            made.data = Path(shutil.copytree(tiny_data.folder, made.place / "data"))
            if request.param in (USER, RUNNER):
                _give(made.place, machines.USER)
            made.begin()
            yield made
            assert made.left() == []


def _give(folder, user):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)
