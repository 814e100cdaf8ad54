import pytest

from checks import source_clock
from tests.checks.source_scripts import HONEST, lines, look

CHEATS = [
    "import time\ntime.time = lambda: 0.0  # here",
    "import time as clock\nclock.perf_counter = fake  # here",
    "import torch\ntorch.cuda.synchronize = lambda *a: None  # here",
    "import time\nsetattr(time, 'monotonic', fake)  # here",
    "from time import perf_counter\ndef perf_counter():  # here\n    return 0",
    "from time import perf_counter\nperf_counter = fake  # here",
    "import sys\nsys.modules['time'] = fake  # here",
    "from unittest import mock\nmock.patch('time.time', fake).start()  # here",
    "from unittest import mock\nimport time\nmock.patch.object(time, 'time', fake)  # here",
    "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)  # here",
    "os.environ['LD_PRELOAD'] = path  # here",
    "training_time_ms -= pause_ms  # here",
    "import time\nt0 = time.perf_counter()\nt0 += time.perf_counter() - pause  # here",
    "import time\nelapsed_s = time.time() - t0 - compile_s  # here",
    "train_seconds = total_seconds - export_seconds  # here",
]
TWINS = [
    "import time\nt = time.time()\nself.time = 3",
    "import torch\ntorch.cuda.synchronize()",
    "import time\nclass T:\n    def perf_counter(self):\n        return time.perf_counter()",
    "max_wallclock_ms -= reserve_ms\nremaining_ms -= elapsed_ms",
    "import time\nstart = time.time()\ndef windows():\n    start += stride",
    "import time\ntrain_s = time.time() - t0\neval_time = now - start_time",
    "training_time_ms += 1000.0 * (time.perf_counter() - t0)",
    "from time import perf_counter\ndef f():\n    perf_counter = 3",
    "from time import perf_counter\nclass T:\n    def perf_counter(self):\n        return 0",
    "elapsed_time = current_time - eval_start_time",
    "total_tokens -= 1\ntrain_loss -= aux_loss",
    "from unittest import mock\nmock.patch('os.getcwd', fake)",
]


@pytest.mark.parametrize("script", CHEATS)
def test_a_changed_clock_is_pointed_at(script):
    (found,) = lines(source_clock, script)
    assert found.endswith("# here")


@pytest.mark.parametrize("script", TWINS)
def test_its_honest_twin_draws_no_note(script):
    assert look(source_clock, script) == ()


def test_the_legal_patterns_draw_no_note():
    assert look(source_clock, HONEST) == ()
