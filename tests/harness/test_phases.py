"""One seed's phases on the judge's clock, with submissions that do one thing each."""

import numpy as np
import pytest

from checks.contract import Outcome
from harness import phases, process
from harness.clock import Stopwatch, now_s, sleep
from tests.harness.scenes import ANSWERS, PLENTY_S, SLOWLY, TAKES_DATA, Scene

DONE, DEADLINE, EXITED, BREACH, NOT_STARTED = Outcome


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_what_a_trainer_is_told(scene):
    scene.env = {"MINE": "x", "HOME": "/mine"}
    scene.passed = {"CUDA_VISIBLE_DEVICES": "3"}
    before_s = now_s()
    trained = scene.train(
        TAKES_DATA
        + """
tmp = os.environ["TMPDIR"]
print(json.dumps({"open": vocab, "data": told, "cwd": os.getcwd(), "env": dict(os.environ),
                  "home": os.listdir(tmp + "/../home"), "tmp": os.listdir(tmp)}))
"""
    )
    assert (trained.setup.outcome, trained.train.outcome) == (DONE, DONE)
    said = scene.said("train")
    assert said["open"] == {
        "protocol": 1, "phase": "train", "vocab_size": 8, "block_tokens": 4, "tokens": 0, "seed": 3
    }  # fmt: skip
    data = said["data"]
    assert data["files"] == [{"name": "shard", "size_bytes": 1024}]
    assert data["shards"] == 1
    assert data["out"] == str(scene.folder / "output")
    assert data["train_s"] == PLENTY_S
    assert data["cap_bytes"] == 1000
    assert before_s + PLENTY_S < data["deadline_s"] < now_s() + PLENTY_S
    assert said["cwd"] == str(scene.folder / "code")
    assert (said["home"], said["tmp"]) == ([], [])
    assert said["env"]["MINE"] == "x"
    assert said["env"]["HOME"] == "/mine"  # a submission's own business
    assert said["env"]["CUDA_VISIBLE_DEVICES"] == "3"
    assert scene.is_clean()
    assert trained.data_hidden
    assert scene.listener.told == [
        (what, 3, phase) for phase in ("setup", "train") for what in ("begins", "ends")
    ]


def test_starting_a_process_is_on_its_clock(scene, monkeypatch):
    class Slow(process.Tree):
        def __init__(self, *arguments, **named):
            sleep(0.3)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(process, "Tree", Slow)
    assert scene.train(TAKES_DATA).setup.wall_s >= 0.3
    assert scene.score(ANSWERS).load.wall_s >= 0.3


def test_a_package_is_started_from_beside_itself(scene):
    scene.package = "code"
    trained = scene.train(TAKES_DATA + "print(json.dumps(os.getcwd()))")
    assert trained.train.outcome is DONE
    assert scene.said("train") == str(scene.folder)


def test_setup_and_train_have_clocks_of_their_own(scene):
    trained = scene.train(
        "import time; time.sleep(0.3)"
        + TAKES_DATA
        + "time.sleep(0.1); open(told['out'] + '/w', 'w')"
    )
    assert 0.3 <= trained.setup.wall_s < PLENTY_S
    assert 0.1 <= trained.train.wall_s < 0.3 + trained.setup.wall_s
    assert (trained.setup.budget_s, trained.train.budget_s) == (PLENTY_S, PLENTY_S)
    assert (scene.folder / "output" / "w").exists()


@pytest.mark.parametrize(
    ("script", "budgets", "outcome", "detail"),
    [
        ("import time; time.sleep(60)", {"setup_s": 0.4}, DEADLINE, "it never said `ready`"),
        ("sys.exit('luck')", {}, EXITED, "it ended with status 1 before it said `ready`; its last line: l"),
        ("import os; os._exit(0)", {}, EXITED, "it ended with status 0 before it said `ready`"),
        ("judge.close(); import time; time.sleep(60)", {}, EXITED, "it closed the channel before it said"),
        ("judge.sendall(b'hello, judge, are you there')", {}, BREACH, "not a frame: header "),
        ("send(DONE); receive()", {}, BREACH, "expected a READY frame, got DONE"),
        ("send(READY, b'x'); receive()", {}, BREACH, "READY frame of 1 bytes where 0 were asked for"),
    ],
)  # fmt: skip
def test_a_setup_that_fails_never_starts_the_train_clock(
    scene, monkeypatch, script, budgets, outcome, detail
):
    monkeypatch.setattr(phases, "CLOSE_S", 0.3)
    scene.budgets = budgets
    trained = scene.train(script)
    assert trained.setup.outcome is outcome
    assert trained.setup.detail.startswith(detail)
    assert trained.train.outcome is NOT_STARTED
    assert trained.train.wall_s == 0.0
    if budgets:
        assert budgets["setup_s"] <= trained.setup.wall_s < budgets["setup_s"] + 2.0
    assert scene.is_clean()


SLEEPS = "time.sleep(60)"
IGNORES = "\nimport signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]\n"
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(0.01); open(told["out"] + "/w", "a").write("x")
    os._exit(0)
"""


@pytest.mark.parametrize(
    "script", [IGNORES + SLEEPS, "while True: pass", DAEMON + SLEEPS], ids=range(3)
)
def test_at_the_deadline_everything_dies(scene, script):
    scene.budgets = {"train_s": 0.4, "train_grace_s": 0.1}
    trained = scene.train(TAKES_DATA + script)
    assert trained.train.outcome is DEADLINE
    assert trained.train.detail == "every process was killed at the deadline"
    assert 0.5 <= trained.train.wall_s < 2.5
    assert trained.train.grace_s == 0.1
    assert scene.is_clean()


def test_the_train_phase_lasts_until_its_last_daemon_is_gone(scene):
    trained = scene.train(
        TAKES_DATA
        + "if os.fork() == 0:\n    os.setsid(); time.sleep(0.4)\n    open(told['out'] + '/late', 'w')"
    )
    assert trained.train.outcome is DONE
    assert trained.train.wall_s >= 0.4
    assert (scene.folder / "output" / "late").exists()


def test_a_daemon_that_outlives_the_command_is_named(scene):
    scene.budgets = {"train_s": 0.4}
    trained = scene.train(TAKES_DATA + DAEMON)
    assert trained.train.outcome is DEADLINE
    assert trained.train.detail.startswith("the command itself had ended with status 0, but ")
    assert "of its processes ran on" in trained.train.detail


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("sys.exit(7)", "it ended with status 7"),
        ("os.write(2, b'bye'); os.kill(os.getpid(), 9)", "it ended with status -9; its last line: bye"),
        ("1 / 0", "it ended with status 1; its last line: ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_a_trainer_that_fails_is_told_with_its_last_line(scene, script, detail):
    trained = scene.train(TAKES_DATA + script)
    assert trained.train.outcome is EXITED
    assert trained.train.detail == detail


def test_last_lines_are_cut_and_never_end_the_judge(scene):
    trained = scene.train(TAKES_DATA + "os.write(2, b'\\xff' * 5000 + b'\\n\\n  \\n'); sys.exit(1)")
    assert trained.train.detail == "it ended with status 1; its last line: " + "\ufffd" * 300


def test_a_trainer_that_wants_no_data_may_leave_them(scene):
    trained = scene.train("send(READY); import os; os.close(0); judge.detach()")
    assert trained.train.outcome is DONE


def test_a_trainer_that_talks_without_end_blocks_itself_alone(scene):
    scene.budgets = {"train_s": 0.4}
    trained = scene.train("send(READY)\nwhile True: judge.sendall(bytes(1 << 20))")
    assert trained.train.outcome is DEADLINE
    assert trained.train.wall_s < 2.5


def test_memory_is_that_of_the_largest_process(scene):
    trained = scene.train(TAKES_DATA + "x = b'x' * (50 << 20)")
    assert 50 < trained.train.peak_rss_mb < 150


def test_what_a_scorer_is_told_and_what_is_kept(scene):
    (scene.folder / "sealed" / "weights").write_bytes(b"w")
    scored = scene.score(
        "import os\nprint(json.dumps({'open': vocab, 'cwd': os.getcwd(), 'files': os.listdir()}), flush=True)"
        + ANSWERS
    )
    assert (scored.load.outcome, scored.score.outcome) == (DONE, DONE)
    assert scored.credited.sum_nats == 5.0
    assert (scored.credited.credited_tokens, scored.credited.breach) == (10, None)
    assert (scene.folder / "nats.f64").read_bytes() == np.full(10, 0.5).tobytes()
    assert not (scene.folder / ".nats.f64.partial").exists()
    said = scene.said("score")
    assert said["open"] == {
        "protocol": 1, "phase": "score", "vocab_size": 8, "block_tokens": 4, "tokens": 10, "seed": 0
    }  # fmt: skip
    assert said["cwd"] == str(scene.folder / "work" / "phase" / "artifact")
    assert said["files"] == ["weights"]
    assert scene.is_clean()


def test_a_challenge_process_is_told_what_a_scorer_is_told(scene):
    """It must not be able to tell which of the two it is, from what the judge says or how it is started."""
    told = "import os\nprint(json.dumps([vocab, os.getcwd(), sorted(os.environ)]), flush=True)"
    scene.score(told + ANSWERS)
    first = scene.said("score")
    context = scene.context()
    logs = scene.folder / "logs" / "challenge"
    with phases.loaded(
        context, sealed=scene.folder / "sealed", work=scene.folder / "work", logs=logs, tokens=10
    ) as run:
        assert phases.wait_ready(run, "load", PLENTY_S, Stopwatch()).outcome is DONE
    assert scene.said("challenge") == first
    assert scene.is_clean()


def test_a_load_that_fails_never_starts_the_score_clock(scene):
    scored = scene.score("sys.exit('no weights')")
    assert scored.load.outcome is EXITED
    assert "no weights" in scored.load.detail
    assert scored.score.outcome is NOT_STARTED
    assert scored.credited is None


def test_load_and_score_have_clocks_of_their_own(scene):
    scored = scene.score(
        "import time; time.sleep(0.3)"
        + ANSWERS.replace(
            "if kind == CLOSE", "if kind == SCORE: time.sleep(0.05)\n    if kind == CLOSE"
        )
    )
    assert scored.load.wall_s >= 0.3
    assert 0.15 <= scored.score.wall_s < PLENTY_S
    assert scored.score.wall_s < scored.load.wall_s + 0.3


@pytest.mark.parametrize(
    ("script", "outcome", "detail", "credited"),
    [
        ("send(READY); receive(); import time; time.sleep(60)", DEADLINE, "0 of 10 tokens were", 0),
        ("send(READY); receive(); sys.exit('tired')", EXITED, "it ended with status 1; its last line: t", 0),
        (ANSWERS.replace("0.5]", "float('nan')]"), BREACH, "nan nats for the token at position 0;", 0),
        (ANSWERS.replace("else (DONE,)", "else (NATS,)"), BREACH, "expected a DONE frame, got NATS", 4),
    ],
)  # fmt: skip
def test_a_pass_that_did_not_end_leaves_no_nats(
    scene, monkeypatch, script, outcome, detail, credited
):
    monkeypatch.setattr(phases, "CLOSE_S", 30.0)
    scene.budgets = {"score_s": 0.5}
    watch = Stopwatch()
    scored = scene.score(script)
    assert watch.elapsed_s < 10.0  # nobody says goodbye to such a process
    assert scored.score.outcome is outcome
    assert scored.score.detail.startswith(detail)
    assert scored.credited.credited_tokens == credited
    assert not (scene.folder / "nats.f64").exists()
    assert scene.is_clean()


def test_a_scorer_that_lingers_after_the_end_costs_nothing_and_is_killed(scene, monkeypatch):
    monkeypatch.setattr(phases, "CLOSE_S", 0.1)
    scored = scene.score(ANSWERS + "\nimport time; time.sleep(60)")
    assert scored.score.outcome is DONE
    assert scored.score.wall_s < 2.0
    assert scene.is_clean()


def test_grace_is_added_to_the_deadline_and_not_to_the_budget(scene):
    scene.budgets = {"score_s": 0.1, "score_grace_s": PLENTY_S}
    scored = scene.score("import time" + SLOWLY)
    assert scored.score.outcome is DONE
    assert scored.score.wall_s > 0.1
    assert (scored.score.budget_s, scored.score.grace_s) == (0.1, PLENTY_S)


def test_scratch_of_one_process_is_gone_before_the_next(scene):
    scene.score(
        "import os\nfor name in ('HOME', 'TMPDIR'): open(os.environ[name] + '/note', 'w')" + ANSWERS
    )
    assert list(scene.folder.rglob("note")) == []


def test_the_last_words_of_a_scorer_that_ends_are_in_the_evidence(scene):
    scored = scene.score("send(READY); receive(); 1 / 0")
    assert scored.credited.breach.kind == "closed"
    assert scored.credited.breach.message.endswith(
        "its last line: ZeroDivisionError: division by zero"
    )


def test_what_a_scorer_writes_beside_its_artifact_is_gone_with_it(scene):
    (scene.folder / "sealed" / "weights").write_bytes(b"w")
    leaves = (
        "import os\nprint(json.dumps(sorted(os.listdir())), flush=True)\nopen('left', 'w').close()"
    )
    for _ in range(2):
        assert scene.score(leaves + ANSWERS).score.outcome is DONE
        assert scene.said("score") == ["weights"]
    assert [path.name for path in (scene.folder / "sealed").iterdir()] == ["weights"]
    assert scene.is_clean()


def test_the_page_cache_is_emptied_before_every_process(scene):
    """Before training too: the seed before it has been scored by then."""

    class Recording:
        emptied = 0

        def empty(self):
            Recording.emptied += 1

    scene.page_cache = Recording()
    scene.train("sys.exit(Recording)")
    assert Recording.emptied == 1
    scene.score("sys.exit()")
    assert Recording.emptied == 2


def test_a_scorer_may_write_beside_its_code(scene):
    """The sealed artifact is read-only; what a scorer starts in is a copy."""
    (scene.folder / "sealed" / "code.py").write_text("x = 1")
    for path in (scene.folder / "sealed" / "code.py", scene.folder / "sealed"):
        path.chmod(path.stat().st_mode & 0o555)
    script = """
    import os, stat
    modes = [os.stat(name).st_mode for name in (".", "code.py")]
    assert all(mode & stat.S_IWUSR for mode in modes), modes
    open("code.py", "a").write("2")
    """
    assert "status 0" in scene.score(script).load.detail
