"""What a process of a submission may import: the sdk, what is pinned, and nothing else that is there."""

import os
import subprocess
import sys

import pytest

from harness import packages
from harness.launch import importable
from harness.sandbox.sight import site_folders


@pytest.fixture
def run(tmp_path):
    """Return a function that runs Python code as a submission's process is started, but for the cell."""
    pinned = packages.resolve(["packaging"], packages.search_path())
    imports = importable(tmp_path / "import", pinned, ("native",))
    env = {"PYTHONPATH": os.pathsep.join(map(str, imports))}

    def python(code):
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    return python


def test_no_folder_of_installed_packages_is_on_the_path(run):
    path = run("import os, sys; print(*map(os.path.realpath, sys.path), sep='\\n')").splitlines()
    assert path
    assert not set(path) & {str(folder) for folder in site_folders()}


@pytest.mark.parametrize("name", ["packaging", "harness.sdk", "native.reference"])
def test_what_is_meant_to_be_seen_is_found(run, name):
    if name != "packaging":
        # Both need numpy, which is not pinned here: that they are looked into is what counts.
        assert "No module named 'numpy'" in run(f"import {name}")
        return
    assert run(f"import {name}; print('found')") == "found"


@pytest.mark.parametrize("name", ["pytest", "numpy", "msgspec"])
def test_what_is_merely_installed_is_not_there(run, name):
    """As an error that a package expects of one that is absent: ImportError, and not that it is forbidden."""
    assert run(f"import {name}") == f"ModuleNotFoundError: No module named '{name}'"
