"""Lines that state seeds, sizes, times, tokens and machines, and lines of something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.audit.stated_lines import HINT, UNREAD, WEAK, Stated, stated, training_step


def said(line: str) -> dict[str, object]:
    return {item.what: item.value for item in stated(line, line.lower())}


@given(
    line=st.text(max_size=150)
    | st.lists(
        st.sampled_from(
            "total submission size artifact code model seed val_tokens world_size stopping train_time : = 1 "
            "15,912,345 9e9 bytes MB ms s after ( ) [ ] | torch python gpu NVIDIA İ \t".split(" ")
        ),
        max_size=14,
    ).map(" ".join)
)
def test_any_line_states_numbers_or_nothing(line: str) -> None:
    for item in stated(line, line.lower()):
        assert isinstance(item.value, int | float | str)
        assert not isinstance(item.value, int) or 0 <= item.value < 10**15
        assert len(item.words) <= 60
        assert HINT.search(line.lower())
    step = training_step(line.lower())
    assert step is None or step.train_ms is None or step.train_ms >= 0


SIZES = st.integers(1000, 99_999_999)
STYLES = [
    ("total", "Total submission size{is_}{size}{unit}"),
    ("total", "Total submission size int8+zlib{is_}{size}{unit}"),
    ("total", "total_submission_bytes{is_}{size}"),
    ("total", "Total artifact size{is_}{size}{unit}"),
    ("total", "code_bytes=51122 total_bytes{is_}{size}"),
    ("total", "artifact: total bytes {size}"),
    ("total", "  bytes_total{is_}{size}"),
    ("total", "submission_bytes{is_}{size}"),
    (f"total{WEAK}", "Total{is_}{size} bytes"),
    (f"total{WEAK}", "Total size (code + model){is_}{size} bytes"),
    ("artifact", "Artifact{is_}{size} bytes"),
    ("artifact", "Final artifact size{is_}{size} bytes (15.91 MB)"),
    ("artifact", '"artifact_bytes"{is_}{size},'),
    ("model", "Serialized model int6+lzma{is_}{size} bytes (payload:12)"),
    ("code", "Code size{is_}{size}{unit}"),
    ("val_tokens", "val_tokens{is_}{size}"),
    ("val_tokens", "validation tokens{is_}{size}"),
    ("val_tokens", "val_loader:shards pattern=/x/val_*.bin tokens:{size}"),
]


@pytest.mark.parametrize(("what", "style"), STYLES)
@given(
    size=SIZES,
    shown=st.sampled_from(["{}", "{:,}", "{:_}"]),
    is_=st.sampled_from([":", "=", ": ", " = ", " : ", ":   "]),
    unit=st.sampled_from(["", " bytes", "B", " bytes (15.9 MB)", " bytes | 0.9 of the cap"]),
)
def test_a_size_in_any_style_reads_back(
    what: str, style: str, size: int, shown: str, is_: str, unit: str
) -> None:
    line = style.format(size=shown.format(size), is_=is_, unit=unit)
    assert said(line).get(what) == size


def test_the_words_of_a_size_are_those_of_the_line() -> None:
    line = "Total submission size INT8+zlib: 15,912,345 bytes"
    assert list(stated(line, line.lower())) == [
        Stated("total", 15_912_345, "Total submission size INT8+zlib")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Total submission size: 15.9 MB",
        "Total submission size: 16 MB",
        "Total submission size: 16M",
        "Total submission size: 15 912 345 bytes",
        "Total submission size: 1,59 bytes",
        "Total submission size: 15,912,34",
        "Total submission size: 16e6",
        "Total submission size: 12",
        "Total submission size: " + "9" * 30,
        "Total submission size limit: 16,000,000 bytes",
        "Total submission size (max): 16,000,000",
        "Total submission budget: 16000000",
        "Total submission size uncompressed: 99,000,000 bytes",
        "Size budget OK: 12345 bytes remaining",
        "total params: 15,912,345",
        "Artifact: 15.9 MB",
        "artifact_dir: 12345678",
        "exit code: 0",
        "process ended with code: 1",
        "status code=200",
        "val_tokens: 62.0M",
        "val_tokens: 62M",
        "val_tokens: 62 million",
        "val_tokens: 62 021 632",
        "Total submission size: 15900 KB",
        "val_tokens_per_batch: 524288",
        "Model Size: 15.9 MB",
        "total_bytes=151080891",
        "total bytes 151,080,891",
        "Training complete in 600s",
        "Wallclock limit reached after 10 min",
    ],
)
def test_what_is_no_whole_number_of_bytes_is_none(line: str) -> None:
    assert said(line) == {}


@pytest.mark.parametrize(
    ("line", "strong"),
    [
        ("seed: 42", True),
        ("  seed=42", True),
        ('"seed": 42,', True),
        ("'seed': '42'", True),
        ("Using seed 42", True),
        ("Random seed: 42", True),
        ("seed set to 42", True),
        ("Setting random seed to 42.", True),
        ("=== RUN seed=42 ===", True),
        ("hparams seed=42 lr=0.1", True),
        ("# seed 42", True),
        ("lr:0.1 wall:600s seed:42", True),
        ("SEED=42 RUN_ID=x torchrun --nproc_per_node=8 train_gpt.py", True),
        ("RUN_ID=x SEED=42 torchrun train_gpt.py", False),
        ("python train.py --seed 42 --lr 0.1", False),
        ("Namespace(lr=0.1, seed=42, steps=3)", False),
    ],
)
def test_a_seed_is_read_and_how_plainly_it_is_stated(line: str, strong: bool) -> None:
    found = said(line)
    assert found.get("seed" if strong else f"seed{WEAK}") == 42


@pytest.mark.parametrize(
    "line",
    ["data_seed: 42", "seed 42/100", "seed: 42.5", "seed: none", "logs/train_seed42.txt", "seeds: 3",
     "run_id: train_seed42", "artifact:/workspace/artifact_seed42"],
)  # fmt: skip
def test_other_numbers_near_the_word_are_no_seed(line: str) -> None:
    assert {what for what in said(line) if what.startswith("seed")} == set()


@pytest.mark.parametrize(
    ("line", "what", "value"),
    [
        ("stopping_early: wallclock_cap train_time:600012ms step:7000/20000", "stopping line", 600012.0),
        ("stopping_early: wallclock_cap train_time: 600012.25 ms", "stopping line", 600012.25),
        ("stopping_early: wallclock_cap train_time:900,000ms", "stopping line", 900000.0),
        ("stopping_early: wallclock_cap train_time:1_900_000.5ms", "stopping line", 1900000.5),
        ("stopping_early: wallclock_cap train_time:9000,00ms", UNREAD, "9000,00ms"),
        ("stopping_early: wallclock_cap train_time: 9e5ms", UNREAD, "9e5ms"),
        ("stopping_early: wallclock_cap train_time:", UNREAD, None),
        ("Training complete in 1,598.2s", f"stopping line{WEAK}", 1598200.0),
        ("total_eval_time:900,000ms", "total_eval_time_s", 900.0),
        ("total_eval_time: 1,860.5s, then", "total_eval_time_s", 1860.5),
        ("total_eval_time: 590,123s", "total_eval_time_s", None),
        ("time is over, worked 599.5s", "worked line", 599500.0),
        ("time is over, worked 600.1235449314117 s", "worked line", 600.1235449314117 * 1000),
        ("Stopping at step 5000, train time 600.1s", f"stopping line{WEAK}", 600100.0),
        ("Wallclock limit reached after 599.9 s", f"stopping line{WEAK}", 599900.0),
        ("Training complete in 598.2s", f"stopping line{WEAK}", 598200.0),
        ("Training finished. elapsed: 598.2 s, peak 3 GB", f"stopping line{WEAK}", 598200.0),
        ("total_eval_time: 512.3s", "total_eval_time_s", 512.3),
        ("total_eval_time:512300ms", "total_eval_time_s", 512.3),
        ("Total evaluation time: 8.5 min", "total_eval_time_s", 510.0),
        ("final_eval_time_seconds=512.3", "total_eval_time_s", 512.3),
        ("world_size:8", "ranks", 8),
        ("World size: 8", "ranks", 8),
        ('"world_size": 8,', "ranks", 8),
        ("torchrun --nproc-per-node=8 train.py", f"ranks{WEAK}", 8),
        ("num_gpus: 8", f"ranks{WEAK}", 8),
        ("torch==2.5.1+cu124", "torch", "2.5.1+cu124"),
        ("Running PyTorch 2.9.1", "torch", "2.9.1"),
        ("Running Python 3.12.3 (main)", "python", "3.12.3"),
        ("| NVIDIA-SMI 1  Driver Version: 2  CUDA Version: 12.8 |", "cuda", "12.8"),
        ("|   0  NVIDIA H100 80GB HBM3          On  |", "gpu", "NVIDIA H100 80GB HBM3"),
        ("Device: NVIDIA H100 80GB HBM3", "gpu", "NVIDIA H100 80GB HBM3"),
        ("train_shards: 80", "train_shards", 80),
        ("max_wallclock_seconds: 600.0", "budget_s", 600.0),
    ],
)  # fmt: skip
def test_each_kind_of_line_states_its_value(line: str, what: str, value: object) -> None:
    assert said(line).get(what) == value


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("step:7000/20000 train_time:599999ms step_avg:85.7ms", (7000, 20000, 599999.0, 85.7, True)),
        ("step: 7000 / 20000 train_time: 9.5 m", (7000, 20000, 570000.0, None, False)),
        ("7000/20000 train_loss: 2.1 train_time: 9.5m tok/s: 9", (7000, 20000, 570000.0, None, False)),
        ("s:7000/20000 tt:599999ms sa:85.7ms", (7000, 20000, 599999.0, 85.7, True)),
        ("step 7000/20000 | loss 2.1 | elapsed: 599.5s", (7000, 20000, 599500.0, None, False)),
        ("step:6,900/20,000 train_time:900,000ms step_avg:1,130.4ms", (6900, 20000, 9e5, 1130.4, True)),
        ("step:7000/20000 train_time:    599999ms", (7000, 20000, 599999.0, None, True)),
        ("step:7000/20000 elapsed:off train_time:599999ms", (7000, 20000, 599999.0, None, True)),
        ("step:7000/20000 train_time: 9.5 min", (7000, 20000, 570000.0, None, False)),
        ("step:7000/20000 train_time:9000,00ms", (7000, 20000, None, None, False)),
        ("step:7000/20000 train_time:unknown", (7000, 20000, None, None, False)),
    ],
)  # fmt: skip
def test_the_counter_of_training_is_read(line: str, step: tuple[object, ...]) -> None:
    found = training_step(line)
    assert found is not None
    assert (found.step, found.steps, found.train_ms, found.average_ms, found.exact) == step


@pytest.mark.parametrize(
    "line",
    ["warmup_step:1/20", "step:7000/20000 loss:2", "see 1/2 at train_time:5ms x", "a/b train_time:5ms",
     "9999999999999/1 train_time:5ms", "step:1/2 elapsed:off", ""],
)  # fmt: skip
def test_other_counters_are_none(line: str) -> None:
    assert training_step(line) is None
