"""The SDK is one file that a contestant can copy: the standard library and numpy, nothing of this project."""

import ast
import subprocess
import sys
from pathlib import Path

import harness
from harness import keeper, sdk
from harness.sandbox import deletion, groups, shim, watch


def imported_by(file: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(Path(file).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            names.add((node.module or "").split(".")[0])
    return names


def test_the_sdk_imports_the_standard_library_and_numpy_alone():
    assert imported_by(sdk.__file__) - sys.stdlib_module_names == {"numpy"}


def test_the_keeper_imports_the_standard_library_alone():
    """And so does what it imports of the judge; landlockpy is imported where the policy names its folder."""
    alone = {"harness.sandbox." + Path(file).stem for file in KEEPERS}
    for file in (keeper.__file__, *KEEPERS):
        foreign = imported_by(file) - sys.stdlib_module_names - {"harness"}
        assert foreign <= {"landlockpy"}
    code = "import sys; import harness.keeper; print(*(n for n in sys.modules if n.startswith('harness')))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(harness.__file__).parents[1],
    )
    assert set(done.stdout.split()) <= {"harness", "harness.keeper", "harness.sandbox", *alone}


KEEPERS = [module.__file__ for module in (deletion, groups, shim, watch)]


def test_importing_the_sdk_brings_nothing_of_the_judge():
    code = "import sys; before = set(sys.modules); import harness.sdk; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(harness.__file__).parents[1],
    )
    loaded = set(done.stdout.split())
    assert {
        name for name in loaded if name.split(".")[0] in ("harness", "checks", "submission")
    } == {
        "harness",
        "harness.sdk",
    }
    assert not {"msgspec", "click", "rich", "torch", "scipy"} & loaded


def test_a_copy_of_the_file_works_without_the_project(tmp_path):
    (tmp_path / "mine.py").write_text(Path(sdk.__file__).read_text("utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", "import mine; print(mine.PROTOCOL, mine.header(mine.Kind.DONE, 0))"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == f"1 {sdk.header(sdk.Kind.DONE, 0)!r}\n"
