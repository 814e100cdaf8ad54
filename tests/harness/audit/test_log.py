"""Whole logs: a rendered one reads back exactly, whoever wrote it and through whatever launcher."""

from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.published import Log, Score
from harness.audit import log as log_module
from harness.audit.log import read_log, seed_in_name
from harness.audit.score_lines import scores_of
from harness.audit.stated_lines import stated, training_step
from harness.audit.text import LINE_CHARACTERS, LogText, decode


def read(text: str | bytes, name: str = "train.log") -> list[Log]:
    data = text.encode() if isinstance(text, str) else text
    return read_log(name, LogText(data, "utf-8", len(data)))


PREFIXES = [
    "{}",
    "  {}",
    "[rank0]: {}",
    "[rank0]:{}",
    "[default0]:{}",
    "[rank0] {}",
    "(rank 0) {}",
    "0: {}",
    "[2026-04-01 12:00:00] {}",
    "2026-04-01 12:00:00,123 - INFO - {}",
    "2026-04-01T12:00:00.123Z INFO {}",
    "[2026-04-01 12:00:00,123][__main__][INFO] - {}",
    "2026-04-01 12:00:00 | INFO | {}",
    "2026-04-01T12:00:00.123456789Z stdout F {}",
    "12:00:01 | {}",
    "[12:00:01] {}",
    "INFO:root:{}",
    "INFO:__main__:{}",
    "[INFO] {}",
    "I0401 12:00:00.123456 1234 train.py:12] {}",
    "wandb: {}",
    "[rank0]: 2026-04-01 12:00:00,123 INFO {}",
    "\x1b[32m{}\x1b[0m",
    "{}\r",
    "50%|#####     | 1/2\r{}",
]
"""What launchers, loggers and terminals put around a line."""

SIGNS = st.sampled_from([":", ": ", "=", " = ", " : "])


@pytest.mark.parametrize("prefix", PREFIXES)
@given(
    seed=st.integers(0, 10**9),
    bpb=st.integers(5000, 40000),
    loss=st.integers(5000, 90000),
    size=st.integers(10**6, 10**8),
    stop=st.integers(1, 10**6),
    tokens=st.integers(10**3, 10**9),
    eval_ms=st.integers(1, 10**6),
    is_=SIGNS,
    noise=st.lists(
        st.sampled_from(["", "loading data", "compiling ...", "=" * 40, "| a | b |"]), max_size=5
    ),
    order=st.randoms(use_true_random=False),
)
def test_a_rendered_log_reads_back(
    prefix: str,
    seed: int,
    bpb: int,
    loss: int,
    size: int,
    stop: int,
    tokens: int,
    eval_ms: int,
    is_: str,
    noise: list[str],
    order: random.Random,
) -> None:
    said = {
        "seed": f"seed{is_}{seed}",
        "tokens": f"val_tokens{is_}{tokens:,}",
        "ranks": f"world_size{is_}8",
        "step": f"step:7000/20000 train_loss:2.1 train_time:{stop}ms step_avg:85.7ms",
        "stop": f"stopping_early: wallclock_cap train_time:{stop}ms step:7000/20000",
        "size": f"Total submission size int6+lzma: {size:,} bytes",
        "score": f"final_int6_sliding val_loss{is_}{loss / 1e4:.4f} val_bpb{is_}{bpb / 1e4:.4f}"
        f" eval_time:{eval_ms}ms",
    }
    lines = [*said, *noise]
    order.shuffle(lines)
    text = "\n".join(prefix.format(said.get(line, line)) for line in lines)
    (log,) = read(text)
    at = {name: lines.index(name) + 1 for name in said}
    assert [(v.value, v.line) for v in log.seed.values] == [(seed, at["seed"])]
    assert [(v.value, v.line) for v in log.val_tokens.values] == [(tokens, at["tokens"])]
    assert [(v.value, v.line) for v in log.ranks.values] == [(8, at["ranks"])]
    assert [(v.value, v.line, v.words) for v in log.counted.values] == [
        (size, at["size"], "Total submission size int6+lzma")
    ]
    assert [(v.value, v.line) for v in log.stop_ms.values] == [(stop, at["stop"])]
    assert log.steps is not None
    assert (log.steps.value, log.steps.line) == (7000, at["step"])
    assert log.scores == (
        Score(
            name="final_int6_sliding",
            place=f"train.log:{at['score']}",
            val_loss=loss / 1e4,
            val_bpb=bpb / 1e4,
            eval_ms=float(eval_ms),
            loss_digits=4,
            bpb_digits=4,
        ),
    )
    assert (log.counted_kind, log.stop_from) == ("total", "stopping line")


@given(
    data=st.binary(max_size=600)
    | st.text("seed: 1bp=.\n/\x1b[val_loss", max_size=300).map(str.encode)
)
def test_any_bytes_are_a_log(data: bytes) -> None:
    text, encoding = decode(data)
    logs = read_log("x.log", LogText(text.encode(errors="replace"), encoding, len(data)))
    assert logs
    for log in logs:
        assert len(log.scores) <= len(data)


RUN = """seed:{seed}
step:100/200 train_loss:2 train_time:100ms step_avg:1ms
step:200/200 val_loss:1.9 val_bpb:1.2 train_time:{stop}ms step_avg:1ms
final val_loss:1.8 val_bpb:1.{seed}
"""


def test_trainings_of_several_seeds_in_a_file_are_records_of_their_own() -> None:
    text = "begin\n" + "".join(RUN.format(seed=seed, stop=seed * 10) for seed in (42, 7, 1337))
    logs = read(text)
    assert [log.name for log in logs] == [
        "train.log#lines2-5",
        "train.log#lines6-9",
        "train.log#lines10-13",
    ]
    assert [(log.own_seed, log.stop_ms.value, log.scores[-1].val_bpb) for log in logs] == [
        (42, 420.0, 1.42),
        (7, 70.0, 1.7),
        (1337, 13370.0, 1.1337),
    ]
    assert all(log.stop_from == "last train_time line" for log in logs)


def test_the_same_seed_twice_is_one_record_whose_last_statement_counts() -> None:
    (log,) = read(RUN.format(seed=42, stop=100) + RUN.format(seed=42, stop=900))
    assert (log.stop_ms.value, log.seed.candidates) == (900.0, ())


def test_a_summary_of_seeds_is_one_record_that_says_so() -> None:
    (log,) = read("seed: 1\nval_bpb: 1.10\nseed: 2\nval_bpb: 1.20\n")
    assert [value.value for value in log.seed.candidates] == [1, 2]


def test_another_seed_before_anything_is_scored_begins_no_other_training() -> None:
    (log,) = read(
        "seed: 1\nstep:1/2 val_loss:2.0 val_bpb:1.5 train_time:5ms\nseed: 2\nfinal val_bpb:1.1\n"
    )
    assert [value.value for value in log.seed.candidates] == [1, 2]


@pytest.mark.parametrize(
    ("text", "stop", "source"),
    [
        ("stopping_early: x train_time:9ms\ntime is over, worked 1s", 9.0, "stopping line"),
        ("time is over, worked 1.5s\nstep:1/2 train_time:7ms", 1500.0, "worked line"),
        ("step:1/2 train_time:7ms\nTraining complete in 612.5s", 7.0, "last train_time line"),
        ("1/2 train_time: 9.9m\nTraining complete in 612.5s", 612_500.0, "stopping line"),
        ("1/2 train_time: 9.9m", None, None),
        ("step:1/2 train_time:7ms\nstep:2/2 train_time:8ms", 8.0, "last train_time line"),
        (
            "step:1/2 train_time:87,000ms\nstep:2/2 train_time:900,000ms",
            900000.0,
            "last train_time line",
        ),
        ("step:1/2 train_time:7ms\nstep:2/2 train_time:9e5ms", None, None),
        ("step:1/2 train_time:7ms\nstopping_early: x train_time:9e5ms", None, None),
        ("step:1/2 train_time:9e5ms\nstopping_early: x train_time:8ms", 8.0, "stopping line"),
    ],
)
def test_of_the_ends_of_training_the_plainest_counts(
    text: str, stop: float | None, source: str | None
) -> None:
    (log,) = read(text)
    assert (log.stop_ms.value, log.stop_from) == (stop, source)


@pytest.mark.parametrize(
    ("text", "counted", "kind"),
    [
        ("Total submission size: 2000 bytes\nArtifact: 1000 bytes", 2000, "total"),
        ("Artifact: 1000 bytes", 1000, "artifact_line"),
        ("Artifact: 1000 bytes\nCode size: 500\nTotal: 2000 bytes", 2000, "total"),
        ("Artifact: 1000 bytes\nTotal: 2000 bytes", 1000, "artifact_line"),
        ("Total: 2000 bytes", None, None),
        ("Code size: 500\nTotal: 5000 bytes\nTotal submission size: 2000", 2000, "total"),
        ("Serialized model: 1000 bytes", None, None),
    ],
)
def test_the_counted_bytes_are_of_everything_if_that_is_stated(
    text: str, counted: int | None, kind: str | None
) -> None:
    (log,) = read(text)
    assert (log.counted.value, log.counted_kind) == (counted, kind)


def test_what_is_said_in_passing_counts_where_nothing_is_stated() -> None:
    command = "RUN_ID=x SEED=1 torchrun --nproc_per_node=4 train_gpt.py\n"
    (passing,), (stated_too,) = read(command), read(command + "seed: 42\nworld_size: 8\n")
    assert (passing.own_seed, passing.ranks.value) == (1, 4)
    assert (stated_too.own_seed, stated_too.ranks.value) == (42, 8)
    assert stated_too.seed.candidates == ()


def test_different_statements_are_candidates() -> None:
    (log,) = read("Total submission size: 2,000 bytes\nTotal submission size: 3,000 bytes\n")
    assert [(value.value, value.line) for value in log.counted.candidates] == [(2000, 1), (3000, 2)]


def test_a_rounded_and_an_exact_line_are_one_score() -> None:
    (log,) = read(
        "final val_loss:1.8012 val_bpb:1.0812 eval_time:5ms\n"
        "final_exact val_loss:1.80123456 val_bpb:1.08123456\nfinal val_loss:1.9 val_bpb:1.3\n"
    )
    assert [(s.val_bpb, s.val_loss, s.eval_ms, s.place) for s in log.scores] == [
        (1.08123456, 1.80123456, 5.0, "train.log:2"),
        (1.3, 1.9, None, "train.log:3"),
    ]


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("train_seed42.log", 42),
        ("seed-7.txt", 7),
        ("logs/s1337.log", 1337),
        ("train_s1.log", None),
        ("train_s-1.log", None),
        ("train_s1_seed7.log", 7),
        ("seed1.log", 1),
        ("seed_42/train.log", 42),
        ("train.log", None),
        ("seed1_seed2.log", None),
        ("runs512x8.log", None),
        ("tests3.log", None),
        ("train_seed42_s42.log", 42),
    ],
)
def test_a_seed_in_a_name(name: str, seed: int | None) -> None:
    assert seed_in_name(name) == seed


def test_of_very_many_scores_the_first_and_the_last_are_kept_and_it_is_said() -> None:
    lines = "".join(f"round{n}x val_loss:1.5 val_bpb:1.{n:05d}\n" for n in range(5000)).encode()
    problems: list = []
    (log,) = read_log("x.log", LogText(lines, "utf-8", len(lines)), problems)
    assert len(log.scores) <= log_module.MAX_SCORES
    assert (log.scores[0].val_bpb, log.scores[-1].val_bpb) == (1.0, 1.04999)
    (problem,) = problems
    assert "scores between the first and the last ones are not read" in problem.value


def test_training_that_validates_often_loses_no_final_score() -> None:
    steps = "".join(
        f"step:{n}/5000 val_loss:1.5 val_bpb:1.5 train_time:{n}ms\n" for n in range(5000)
    )
    problems: list = []
    data = ("init val_bpb:4.1\n" + steps + "final val_loss:1.4 val_bpb:1.4\n").encode()
    (log,) = read_log("x.log", LogText(data, "utf-8", len(data)), problems)
    assert [s.val_bpb for s in log.scores if not s.validation] == [4.1, 1.4]
    assert problems == []


def test_many_seeds_and_statements_are_bounded() -> None:
    (log,) = read("".join(f"seed: {n}\n" for n in range(5000)))
    assert len(log.seed.values) == log_module.MAX_STATED
    assert log.own_seed == 4999
    logs = read("".join(RUN.format(seed=n, stop=n) for n in range(300)))
    assert len(logs) == log_module.MAX_PROCESSES + 1


PIECES = [
    *string.ascii_lowercase[:3],
    *" \t=:1.,[(\"'_-/|*#",
    *(
        "bpb",
        "bpb_",
        "val_bpb:",
        "val_",
        "1,",
        "1e",
        "seed ",
        "seed=",
        "total ",
        "total_",
        "code:1 ",
        "step ",
    ),
    *(
        "model ",
        "stopped ",
        "stopping ",
        "training complete ",
        "time limit reached ",
        "1/",
        "eval_time",
        "eval ",
    ),
    *(
        "rank0]",
        "[rank0]",
        "2026-01-01 ",
        "12:00:00 ",
        "INFO ",
        "artifact (",
        "using ",
        "random ",
        "| 1 NVIDIA ",
    ),
    *(
        "torch ",
        "python ",
        "\x1b[",
        "\x1b]",
        "\x1b[1;",
        "bits per byte",
        "bits ",
        "total submission ",
        "wall:1s ",
    ),
]
KEYS = ("", " val_bpb:1.23%", "seed:1 total:2 model code stopped val tokens gpu device torch")


def spent_s(line: str) -> float:
    """Return the least processor time of three readings."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        scores_of(line, "f", 1)
        list(stated(line, line))
        training_step(line)
        read(line)
        times.append(time.thread_time() - start)
    return min(times)


@pytest.mark.parametrize("piece", PIECES)
def test_a_line_eight_times_as_long_takes_about_eight_times_as_long(piece: str) -> None:
    """A pattern that goes over a line once for each of its beginnings takes 64 times."""
    for key in KEYS:
        short, long = (key + piece * 500)[:512], (key + piece * LINE_CHARACTERS)[:LINE_CHARACTERS]
        for one, eight in ((short, long), (short[::-1] + key, long[::-1] + key)):
            assert spent_s(eight) < 24 * max(spent_s(one), 0.00025)


@pytest.mark.parametrize(
    ("end", "line"),
    [("step:2/2 train_time:?", 2), ("stopping_early: x train_time:?\nx", 2), ("nothing", 0)],
)
def test_an_end_of_training_that_cannot_be_read_is_said(end: str, line: int) -> None:
    data = f"step:1/2 train_time:7ms\n{end}\n".encode()
    problems: list = []
    read_log("x.log", LogText(data, "utf-8", len(data)), problems)
    said = [(problem.value, problem.line) for problem in problems]
    assert said == ([("the end of training is no time that can be read", line)] if line else [])
