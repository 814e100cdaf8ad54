"""Which guarantees hold on this machine, and by what means; the environment a submission starts in.

This version starts processes in a session of their own under a subreaper, with a clean environment, an empty
HOME and TMPDIR, closed descriptors and resource limits. It does not restrict the network, the file system or
memory, and says so: a ruleset that requires such a guarantee gets a NOT-RUN finding, never silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from checks.contract import Finding, Status
from harness.process import PATH
from harness.report.model import Guarantee

KNOWN = ("network", "files", "processes", "memory", "secrets")


def guarantees(required: tuple[str, ...], *, train_hidden: bool) -> tuple[Guarantee, ...]:
    """Return one line a guarantee, in a fixed order, required ones that are unknown to us included."""
    data = (
        "train data is handed over as memory files without a path"
        if train_hidden
        else "train data is handed over as files of the data folder, whose path can be found out"
    )
    known = {
        "network": ("not enforced", "the network is as the machine has it"),
        "files": ("not enforced", f"any file of the judge's user can be read; {data}"),
        "processes": ("best effort", "subreaper sweep with SIGKILL until none is left"),
        "memory": ("not enforced", "the kernel's out-of-memory killer, submission first"),
        "secrets": (
            "best effort",
            "challenge positions are drawn after the credited pass and held in the judge's memory",
        ),
    }
    unknown = {
        name: ("not enforced", "unknown to this judge") for name in required if name not in known
    }
    return tuple(
        Guarantee(name=name, state=state, means=means, required=name in required)  # type: ignore[arg-type]
        for name, (state, means) in {**known, **unknown}.items()
    )


def findings(held: tuple[Guarantee, ...]) -> list[Finding]:
    """Return a NOT-RUN finding for each required guarantee that is not enforced."""
    return [
        Finding(
            id=f"sandbox.{guarantee.name}",
            status=Status.NOT_RUN,
            message=f"the ruleset requires it and this machine does not enforce it: {guarantee.means}",
            evidence={"state": guarantee.state},
        )
        for guarantee in held
        if guarantee.required and guarantee.state != "enforced"
    ]


def environment(home: Path, temporary: Path, passed: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a submission's process.

    `passed` holds the few variables of the machine that the judge hands on (GPU visibility, library paths).
    Compile caches live under the phase's own TMPDIR: they start empty and go with it.
    """
    return {
        **passed,
        "PATH": PATH,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "USER": "submission",
        "LOGNAME": "submission",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": str(temporary / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(temporary / "inductor"),
        "TRITON_CACHE_DIR": str(temporary / "triton"),
        "CUDA_CACHE_PATH": str(temporary / "cuda"),
    }
