"""Builds native._ngram, the one compiled part; all else is in pyproject.toml.

Where no compiler is found the package installs without it, and native/reference.py counts in its place, many
times slower: `python -m native` says which of them is there.
"""

from setuptools import Extension, setup

setup(
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
