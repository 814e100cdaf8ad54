"""Two ranks on the CPU train as one does with the same global batch."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from submission.parallel import World
from tests.judged import ROOT


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def trained(folder, size):
    port, children = free_port(), []
    for rank in range(size):
        env = {
            **os.environ,
            "RANK": str(rank),
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "tests.submission.ranks", str(folder)]
        children.append(subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE))
    for child in children:
        _, words = child.communicate(timeout=120)
        assert child.returncode == 0, words.decode()
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {size: trained(tmp_path_factory.mktemp(f"ranks{size}"), size) for size in (1, 2, 3)}


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_have_the_loss_curve_of_one(runs, size):
    """Three do not divide the eight windows nor the ten matrices of a bank: the padding is at work."""
    (alone,) = runs[1]
    for rank in runs[size]:
        assert rank["losses"] == runs[size][0]["losses"]
        assert np.allclose(rank["losses"], alone["losses"], atol=5e-4)
    assert alone["losses"][-1] < alone["losses"][0] - 0.3


def test_ranks_end_with_the_same_weights(runs):
    (alone,) = runs[1]
    for name, weight in alone["weights"].items():
        one, two = (np.array(rank["weights"][name]) for rank in runs[2])
        assert np.array_equal(one, two), name
        # Soft rounding drives what lies beside a threshold apart: a few weights, not most.
        assert np.linalg.norm(one - weight) < 0.02 * np.linalg.norm(weight), name


def test_ranks_agree_on_decisions_and_hessians(runs):
    (alone,) = runs[1]
    for rank in runs[2]:
        assert rank["told"] == "from rank 0"
        assert rank["planned_step"] == pytest.approx(alone["planned_step"], rel=1e-3)
        assert np.allclose(rank["hessian"], runs[2][0]["hessian"])


def test_alone_everything_is_the_identity():
    world = World(device=torch.device("cpu"))
    bank = torch.randn(3, 2, 2)
    share, work = world.own_share(bank)
    assert (share is bank, work) == (True, None)
    assert world.gather(bank, 3) == (bank, None)
    kept = bank.clone()
    world.average_([bank])
    assert torch.equal(bank, kept)
    assert world.tell_bytes(b"x") == b"x"
