"""What may disturb a clock: found where the system says it, said only where it is worth a look."""

import math
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import noise
from harness.noise import Noise, measure

QUIET = Noise(
    governors=("performance",),
    load_1min=0.1,
    cores=8,
    overshoot_ms=0.1,
    swap_used_mb=0.0,
    gpu_processes=(),
)


def with_(**changed):
    import msgspec

    return msgspec.structs.replace(QUIET, **changed)


def test_a_quiet_machine_has_no_remarks():
    assert QUIET.remarks() == []
    unknown = with_(governors=(), swap_used_mb=None, gpu_processes=None)
    assert unknown.remarks() == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"governors": ("performance", "powersave")}, "powersave"),
        ({"load_1min": 4.1}, "load 4.1 on 8 cores"),
        ({"overshoot_ms": 2.5}, "3.5 ms"),
        ({"swap_used_mb": 12.4}, "12 MB"),
        ({"gpu_processes": ("1, python, 5 MiB",)}, "1, python, 5 MiB"),
    ],
)
def test_each_noise_is_one_remark(changed, says):
    (remark,) = with_(**changed).remarks()
    assert says in remark


@given(
    st.builds(
        Noise,
        governors=st.lists(st.sampled_from(["performance", "schedutil"]), max_size=2).map(tuple),
        load_1min=st.floats(0, 1000),
        cores=st.integers(1, 512),
        overshoot_ms=st.floats(0, 1000),
        swap_used_mb=st.none() | st.floats(0, 1e6),
        gpu_processes=st.none() | st.lists(st.text(), max_size=3).map(tuple),
    )
)
def test_remarks_are_sentences_whatever_was_found(found):
    for remark in found.remarks():
        assert remark
        assert "nan" not in remark
        assert "None" not in remark


def test_what_is_measured_here_is_finite():
    found = measure()
    assert found.cores == len(os.sched_getaffinity(0))
    assert math.isfinite(found.load_1min)
    assert found.load_1min >= 0
    assert 0 <= found.overshoot_ms < 10_000
    assert found.swap_used_mb is None or found.swap_used_mb >= 0


def test_swap_is_read_and_absent_is_none(monkeypatch, tmp_path):
    said = {"/proc/meminfo": "MemTotal: 10 kB\nSwapTotal:    3000 kB\nSwapFree:  1000 kB\n"}
    monkeypatch.setattr(noise.Path, "read_text", lambda path: said[str(path)])
    assert noise._swap_used_mb() == 2.0
    said["/proc/meminfo"] = "MemTotal: 10 kB\n"
    assert noise._swap_used_mb() is None

    def absent(path):
        raise FileNotFoundError

    monkeypatch.setattr(noise.Path, "read_text", absent)
    assert noise._swap_used_mb() is None


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (None, None),
        ("exit 9", None),
        ("sleep 5", None),
        ("true", ()),
        ("printf '12, python, 3 MiB\\n\\n 13, x, 4 MiB\\n'", ("12, python, 3 MiB", "13, x, 4 MiB")),
    ],
)
def test_gpu_processes_are_what_the_driver_lists(monkeypatch, tmp_path, script, found):
    program = tmp_path / "nvidia-smi"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setattr(noise, "LISTING_S", 0.3)
    monkeypatch.setattr(
        noise.shutil, "which", lambda *_, **__: str(program) if script is not None else None
    )
    assert noise._gpu_processes() == found


def test_a_driver_that_cannot_be_started_lists_nothing(monkeypatch):
    def fails(*_, **__):
        raise subprocess.SubprocessError

    monkeypatch.setattr(noise.shutil, "which", lambda *_, **__: "/bin/true")
    monkeypatch.setattr(noise.subprocess, "run", fails)
    assert noise._gpu_processes() is None
