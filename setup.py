"""Builds native._ngram, the one compiled part, and packs corpus and pages; all else is in pyproject.toml.

Where no compiler is found the package installs without it, and native/reference.py counts in its place, many
times slower: `python -m native` says which of them is there.
"""

import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

PACKED = {Path("tests", "attacks"): "attacks", Path("docs", "rules"): "rules"}
"""What goes into a wheel below harness/: for `harness selftest`, and for `harness explain`."""


class BuildWithFiles(build_py):
    """Puts tests/attacks and docs/rules into a wheel, where `harness` looks for them.

    No mapping in pyproject.toml: they are files to be read or started and no packages, and an editable
    installation finds them where they are.
    """

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            # Whole each time: what an earlier build left there must not come along.
            for name in PACKED.values():
                shutil.rmtree(self._place(name), ignore_errors=True)
            for source, target in self._files().items():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return every file that is built, copied ones included."""
        packed = [] if self.editable_mode else [str(path) for path in self._files().values()]
        return super().get_outputs(include_bytecode) + packed

    def _place(self, name: str) -> Path:
        return Path(self.build_lib, "harness", name)

    def _files(self) -> dict[Path, Path]:
        """Return where each file goes."""
        return {
            path: self._place(name) / path.relative_to(folder)
            for folder, name in PACKED.items()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }


setup(
    cmdclass={"build_py": BuildWithFiles},
    ext_modules=[
        Extension(
            "native._ngram",
            [f"native/{name}.c" for name in ("_ngrammodule", "ngram", "place", "count", "saved")],
            depends=["native/ngram.h", "native/state.h"],
            define_macros=[("Py_LIMITED_API", "0x030b0000")],
            py_limited_api=True,
            # The file crosses into the scorer and its bytes are counted: without what only a debugger reads.
            extra_compile_args=["-std=c11", "-O2", "-g0", "-Wall", "-Wextra"],
            extra_link_args=["-Wl,--strip-all", "-Wl,-z,noseparate-code"],
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
