"""Where a module would be found, and what installs it where it is not."""

import importlib.util
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import packages
from harness.packages import Missing, Package, Pinned
from harness.preflight.lookup import Files, is_standard, provided, remedy

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.builds("/".join, st.lists(NAMES, min_size=1, max_size=3))
FILES = st.sets(
    st.builds("{}{}".format, PATHS, st.sampled_from([".py", "/__init__.py", ".txt"])), max_size=6
)


def package(name, *entries):
    return Package(
        name=name,
        version="1",
        requirement=name,
        drawn_in_by=(),
        site="/s",
        record="R",
        entries=entries,
    )


def missing(name, requirement="", wanted_by="", state="absent", version=""):
    return Missing(
        name=name,
        requirement=requirement or name,
        wanted_by=wanted_by,
        state=state,
        version=version,
    )


@settings(max_examples=60)
@given(files=FILES, dotted=st.builds(".".join, st.lists(NAMES, min_size=1, max_size=3)))
def test_python_finds_the_same(files, dotted):
    """The oracle is importlib's own finder, on a folder with these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found, search = None, [folder]
        for part in dotted.split("."):
            spec = importlib.machinery.PathFinder.find_spec(part, search)
            if spec is None:
                found = None
                break
            search = list(spec.submodule_search_locations or ())
            found = Path(spec.origin).relative_to(folder).as_posix() if spec.origin else ""
        parts = dotted.split(".")
        view = Files(frozenset(files))
        steps = [view.module("", ".".join(parts[: n + 1])) for n in range(len(parts))]
        # A module that is a file holds no others; the view asks for each step, as an import does.
        is_package = [
            step is not None and (not step or step.endswith("/__init__.py")) for step in steps
        ]
        ours = steps[-1] if all(is_package[:-1]) and None not in steps else None
        assert ours == found


def test_compiled_modules_and_other_roots():
    files = Files(frozenset({"lib/fast.abi3.so", "lib/x.cpython-311-x86_64-linux-gnu.so", "y.pyc"}))
    assert files.module("lib", "fast") == "lib/fast.abi3.so"
    assert files.module("", "lib.x") == "lib/x.cpython-311-x86_64-linux-gnu.so"
    assert files.module("", "y") == "y.pyc"
    assert files.module("", "lib") == ""
    assert files.module("", "fast") is None


def test_what_packages_are_imported_as():
    pinned = Pinned(
        packages=(
            package("pillow", "PIL", "pillow-1.dist-info", "pillow.libs"),
            package("six", "six.py", "six-1.dist-info", "__pycache__/six.cpython-311.pyc"),
            package("fast", "_fast.abi3.so", "fast-1.dist-info/RECORD"),
            package("proto", "google/protobuf"),
        ),
        missing=(),
    )
    assert provided(pinned, ()).installed == {"PIL", "six", "_fast", "google"}


def test_what_missing_packages_would_be_imported_as():
    pinned = Pinned(
        packages=(),
        missing=(
            missing("flash-attn", "flash-attn>=2.8"),
            missing("flash-attn-4"),
            missing("scikit-learn"),
            missing("torch", "torch>=2.11", state="wrong version", version="2.0"),
        ),
    )
    found = provided(pinned, ("native",))
    assert found.missing["flash_attn"].name == "flash-attn"  # the first of two
    assert found.missing["cutlass"].name == "flash-attn-4"
    assert found.missing["einops"].name == "flash-attn"  # which draws it in
    assert found.missing["torch"].name == "torch"  # its own name comes before what others draw in
    assert found.missing["sklearn"].name == "scikit-learn"
    assert [gap.name for gap in found.unknown] == ["scikit-learn"]
    assert found.project == {"native"}
    assert remedy(found.missing["flash_attn"]) == "pip install 'flash-attn>=2.8'"


def test_what_is_installed_here_is_found_here():
    pinned = packages.resolve(["numpy>=2"], packages.search_path())
    assert "numpy" in provided(pinned, ()).installed


@pytest.mark.parametrize("name", ["os", "sys", "_thread", "tomllib", "__future__"])
def test_the_standard_library(name):
    assert is_standard(name)
    assert importlib.util.find_spec(name) is not None or name in sys.builtin_module_names


def test_what_is_not_of_the_standard_library():
    assert not is_standard("numpy")
    assert not is_standard("harness")
