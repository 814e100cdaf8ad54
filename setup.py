"""Builds native._ngram, the one compiled part, and packs the attack corpus; all else is in pyproject.toml.

Where no compiler is found the package installs without it, and native/reference.py counts in its place, many
times slower: `python -m native` says which of them is there.
"""

import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

CORPUS = Path("tests", "attacks")


class BuildWithCorpus(build_py):
    """Puts tests/attacks into a wheel as harness/attacks, where `harness selftest` looks for it.

    No mapping in pyproject.toml: they are files for processes of their own and no package, and an editable
    installation finds them where they are.
    """

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            # Whole each time: what an earlier build left there must not come along.
            shutil.rmtree(self._packed(), ignore_errors=True)
            for source, target in self._corpus().items():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return every file that is built, copied ones included."""
        packed = [] if self.editable_mode else [str(path) for path in self._corpus().values()]
        return super().get_outputs(include_bytecode) + packed

    def _packed(self) -> Path:
        return Path(self.build_lib, "harness", "attacks")

    def _corpus(self) -> dict[Path, Path]:
        """Return where each file goes."""
        return {
            path: self._packed() / path.relative_to(CORPUS)
            for path in sorted(CORPUS.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }


setup(
    cmdclass={"build_py": BuildWithCorpus},
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
