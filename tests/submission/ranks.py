"""One rank of a training run on the CPU: started by test_parallel.py, writes its losses to a file.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python -m tests.submission.ranks OUT
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from submission.fit import Learner, fit
from submission.hessians import collect
from submission.loader import Loader
from submission.parallel import join
from submission.presets import QatConfig
from submission.schedule import Schedule
from tests.submission.tiny import PRESET, VOCAB

STREAM = np.random.default_rng(5).integers(0, VOCAB, 4000).astype(np.uint16)
STREAM[::2] = 7  # half of it can be learnt
RANKS_PRESET = replace(
    PRESET,
    schedule=Schedule(steps=12, warmdown=0.5),
    batch_windows=8,
    micro_windows=2,
    qat=QatConfig(start=0.5),
)


def main() -> None:
    torch.set_num_threads(1)
    world = join()
    learner = Learner(RANKS_PRESET, world, vocab_size=VOCAB, seed=3)
    loader = None
    if world.speaks:
        loader = Loader([STREAM], length=16, batch_windows=8, seed=3, ahead=0)
    progress = fit(learner, loader, deadline_s=1e12, cap_bytes=10_000, log=lambda line: None)
    ids_BT = torch.from_numpy(STREAM[:128].astype(np.int64)).view(8, 16)
    with learner.unrounded() as model:
        hessians = collect(model, [ids_BT[world.rank :: world.size]], world)
    told = world.tell_bytes(b"from rank 0" if world.speaks else b"")
    result = {
        "losses": progress.losses,
        "planned_step": progress.planned_step,
        "weights": {
            name: value.flatten().tolist() for name, value in learner.model.named_parameters()
        },
        "hessian": hessians["down"].flatten().tolist(),
        "told": told.decode(),
    }
    Path(sys.argv[1], f"rank{world.rank}.json").write_text(json.dumps(result))
    world.leave()


if __name__ == "__main__":
    main()
