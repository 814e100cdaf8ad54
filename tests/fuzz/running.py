"""One target under atheris, in a process of its own: libFuzzer ends the process when it is done.

Arguments: the target, then options and folders of libFuzzer's.
"""

from __future__ import annotations

import resource
import shlex
import sys
from pathlib import Path

HEADROOM_BYTES = 1 << 30
"""What the address space may grow by: a length that nobody checked ends in MemoryError, a finding."""


def main() -> None:
    """Import the target with its readers instrumented, and hand over to libFuzzer."""
    import atheris

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    with atheris.instrument_imports(include=["harness", "checks", "tomllib"]):
        from tests.fuzz.targets import target

        one = target(sys.argv[1]).one

    def test(data: bytes) -> None:
        one(data)

    one(b"")
    _limit_memory()
    # A merge starts its steps through a shell, by the first of these.
    again = shlex.join([sys.executable, *sys.argv[:2]])
    atheris.Setup([again, *sys.argv[2:]], test)
    atheris.Fuzz()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + HEADROOM_BYTES
    # The steps of a merge inherit this and set their own.
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
