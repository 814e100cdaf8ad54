"""Record folders: which are found, what is read of each, and what is left alone and said."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.audit import folder as folder_module
from harness.audit import text as text_module
from harness.audit.discovery import find_folders
from harness.audit.folder import read_folder

LOG = """seed:{seed}
world_size:8
val_tokens:62021632
stopping_early: wallclock_cap train_time:600012ms step:7000/20000
Total submission size: 15,912,345 bytes
final val_loss:1.8012 val_bpb:{bpb}
"""


def record(place: Path, *, logs: bool = True, **tree: Any) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    if logs:
        for seed, bpb in ((42, 1.08), (7, 1.09)):
            (place / f"train_seed{seed}.log").write_text(LOG.format(seed=seed, bpb=bpb))
    if tree:
        (place / "submission.json").write_text(json.dumps(tree))
    return place


def names(root: Path, *paths: Path) -> list[str]:
    return [str(found.relative_to(root)) for found in find_folders(paths or (root,))]


def said(problems: Any) -> list[tuple[str, str]]:
    return [(problem.file, problem.value) for problem in problems]


def test_records_are_found_below_each_path_sorted_and_once(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a"):
        record(tmp_path / name, val_bpb=1.0)
    record(tmp_path / "b/1/logs", val_bpb=1.0)
    (tmp_path / ".git").mkdir()
    record(tmp_path / ".git/x", val_bpb=1.0)
    assert names(tmp_path) == ["a", "b/1", "b/2"]
    assert names(tmp_path, tmp_path / "b", tmp_path / "b/1", tmp_path / "a") == ["b/1", "b/2", "a"]


def test_logs_without_claims_are_a_record_and_so_is_what_lies_below_them(tmp_path: Path) -> None:
    record(tmp_path / "x")
    record(tmp_path / "x/logs")
    record(tmp_path / "y", val_bpb=1.0, logs=False)
    assert names(tmp_path) == ["x", "y"]


def test_the_root_of_a_repository_is_no_record_for_its_trainer(tmp_path: Path) -> None:
    (tmp_path / "train_gpt.py").write_text("pass\n")
    assert names(tmp_path) == ["."]
    record(tmp_path / "records/track/a", val_bpb=1.0)
    record(tmp_path / "records/track/no_claims")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/train_gpt.py").write_text("pass\n")
    assert names(tmp_path) == ["records/track/a", "records/track/no_claims"]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert names(tmp_path) == []
    assert list(find_folders([tmp_path / "none", tmp_path / "a\0b"])) == []
    (tmp_path / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == []


def test_a_record_is_read_whole(tmp_path: Path) -> None:
    place = record(
        tmp_path / "pr123/2026-04-01_Name",
        val_bpb=1.085,
        seeds=[42, 7],
        name="Name",
        blurb="3-seed mean",
        track="10min_16mb",
    )
    (place / "README.md").write_text("intro\n# The Title\n")
    (place / "train_gpt.py").write_text("print('never run')\n")
    (place / "final_model.ptz").write_bytes(b"x" * 99)
    (place / "requirements.txt").write_text("torch\n")
    (place / "notes.txt").write_text("nothing stated\n")
    read = read_folder(place, place.name)
    assert (read.id, read.pull_request) == ("2026-04-01_Name", 123)
    assert read.date is not None
    assert (read.date.value, read.track and read.track.value) == ("2026-04-01", "record")
    assert [log.name for log in read.logs] == ["train_seed42.log", "train_seed7.log"]
    assert [(run.seed, run.counted.value, run.ranks.value) for run in read.headline.runs] == [
        (42, 15912345, 8),
        (7, 15912345, 8),
    ]
    assert read.headline.reproduces
    assert [(value.file, value.value) for value in read.scripts] == [("train_gpt.py", 19)]
    assert [(value.file, value.value) for value in read.artifacts] == [("final_model.ptz", 99)]
    assert [value.value for value in read.texts] == ["The Title", "Name", "3-seed mean"]
    assert read.problems == ()


@pytest.mark.parametrize(
    ("place", "track", "wanted"),
    [
        ("track_non_record_16mb/x", "10min_16mb", "non-record"),
        ("track_10min_16mb/x", None, "record"),
        ("x", "non-record-unlimited", "non-record"),
        ("x", "10min_16mb", "record"),
        ("my-non-record-checkout/2026-04-20_beats_the_nonrecord_baseline", "10min_16mb", "record"),
        ("my-non-record-checkout/x", None, None),
        ("track_non_record_16mb_old/x", None, None),
        ("track_non_record_16mb/track_10min_16mb/x", None, "record"),
        ("x", None, None),
    ],
)
def test_the_track_is_where_the_folder_lies_else_what_is_claimed(
    tmp_path: Path, place: str, track: str | None, wanted: str | None
) -> None:
    read = read_folder(record(tmp_path / place, val_bpb=1.0, track=track), "x")
    assert (read.track.value if read.track else None) == wanted


def test_what_the_log_of_an_evaluation_lacks_comes_from_the_training_of_its_seed(
    tmp_path: Path,
) -> None:
    place = record(tmp_path, logs=False, val_bpb=1.05)
    (place / "train_seed42.log").write_text(LOG.format(seed=42, bpb=1.2))
    (place / "eval_seed42.log").write_text("seed:42\nslide val_loss:1.7 val_bpb:1.05\n")
    (run,) = read_folder(place, "x").headline.runs
    assert (run.log.name, run.joined) == ("eval_seed42.log", ("train_seed42.log",))
    assert (run.counted.value, run.stop_ms.value, run.val_tokens.value) == (
        15912345,
        600012.0,
        62021632,
    )
    (place / "again_seed42.log").write_text(LOG.format(seed=42, bpb=1.3))
    assert read_folder(place, "x").headline.runs[0].joined == ()  # which of two it was is not known


def test_links_pipes_and_what_lies_behind_them_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = record(tmp_path / "r", val_bpb=1.085)
    secret = record(tmp_path / "elsewhere") / "train_seed42.log"
    (place / "linked.log").symlink_to(secret)
    (place / "linked").symlink_to(secret.parent)
    (place / "zero.log").symlink_to("/dev/zero")
    os.mkfifo(place / "pipe.log")
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *args: (opened.append(path), real(path, *args))[1])
    read = read_folder(place, "r")
    assert {Path(path).name for path in opened} == {
        "submission.json",
        "train_seed42.log",
        "train_seed7.log",
    }
    assert {Path(path).parent for path in opened} == {place}
    assert said(read.problems) == [
        (name, "is a link; not followed") for name in ("linked", "linked.log", "zero.log")
    ]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_claims_that_are_no_file_are_none(tmp_path: Path, kind: str) -> None:
    place = record(tmp_path / "r")
    path = place / "submission.json"
    if kind == "link":
        path.symlink_to(record(tmp_path / "other", val_bpb=1.0) / "submission.json")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert read_folder(place, "r").claims is None


@pytest.mark.parametrize("data", [b"", b"\xff" * 99, b"[" * 200_000, b"{" * 9, b"x" * (2 << 20)])
def test_claims_that_cannot_be_read_are_claims_with_an_error(tmp_path: Path, data: bytes) -> None:
    place = record(tmp_path)
    (place / "submission.json").write_bytes(data)
    read = read_folder(place, "r")
    assert read.claims is not None
    assert read.claims.error
    assert not read.claims.strict_json
    assert len(read.logs) == 2


def test_binary_logs_and_long_ones_are_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = record(tmp_path, val_bpb=1.0)
    sizes = [(place / f"train_seed{seed}.log").stat().st_size for seed in (42, 7)]
    (place / "junk.log").write_bytes(bytes(range(256)) * 20)
    monkeypatch.setattr(text_module, "WINDOW_BYTES", 80)
    read = read_folder(place, "r")
    assert said(read.problems) == [
        ("junk.log", "not text: too many control characters"),
        ("train_seed42.log", f"{sizes[0]} bytes; {sizes[0] - 160} in the middle are not read"),
        ("train_seed7.log", f"{sizes[1]} bytes; {sizes[1] - 160} in the middle are not read"),
    ]
    assert [log.scores[0].place for log in read.logs if log.scores] == [
        "train_seed42.log, line 1 from the end",
        "train_seed7.log, line 1 from the end",
    ]


def test_ten_thousand_files_are_not_all_listed_and_the_claims_are_read(tmp_path: Path) -> None:
    place = record(tmp_path, val_bpb=1.0)
    for number in range(10_000):
        (place / f"{number:05d}.log").write_text("x")
    read = read_folder(place, "r")
    assert read.claims is not None
    assert read.claims.val_bpb.value == 1.0
    assert len(read.logs) == folder_module.MAX_LOGS
    assert said(read.problems) == [
        (".", "more than 5,000 files or folders; not all are read"),
        (".", "5,000 logs; the first 200 are read"),
    ]


def test_many_problems_are_shortened(tmp_path: Path) -> None:
    place = record(tmp_path, val_bpb=1.0)
    for number in range(500):
        (place / f"link{number}").symlink_to("x")
    problems = read_folder(place, "r").problems
    assert len(problems) == folder_module.MAX_PROBLEMS + 1
    assert problems[-1].value == "400 more of such files"


def test_deep_folders_end_somewhere(tmp_path: Path) -> None:
    place = record(tmp_path, val_bpb=1.0)
    deep = place
    for _ in range(folder_module.MAX_DEPTH + 3):
        deep = deep / "d"
    record(deep)
    (problem,) = read_folder(place, "r").problems
    assert problem.value == "lies too deep; not read"


def test_a_folder_that_may_not_be_listed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = record(tmp_path, val_bpb=1.0)
    (place / "closed").mkdir()
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert said(read_folder(place, "r").problems) == [("closed/", "cannot be listed")]


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    place = record(tmp_path, val_bpb=1.085)
    Path(os.fsdecode(os.fsencode(place) + b"/seed\xff9.log")).write_text(
        LOG.format(seed=9, bpb=1.1)
    )
    read = read_folder(place, "r")
    assert len(read.logs) == 3
    for log in read.logs:
        assert log.name.encode()
        assert log.scores


@pytest.mark.parametrize(
    ("folder", "claimed", "wanted", "problem"),
    [
        ("2026-05-20_x", "2026-03-19", "2026-05-20",
         "claims 2026-03-19, the folder's name says 2026-05-20; the later one is used"),
        ("2026-03-19_x", "2026-05-20", "2026-05-20",
         "claims 2026-05-20, the folder's name says 2026-03-19; the later one is used"),
        ("2026-04-03_x", "2026-04-01T12:00:00", "2026-04-03", None),
        ("2026-04-03_x", "2026-04-05", "2026-04-05", None),
        ("2026-04-03_x", "2026-19-39", "2026-04-03", None),
        ("x", "2026-02-30", None, None),
        ("x", "2019-02-20", None, None),
        ("x", "2026-02-30 or 2026-03-01", "2026-03-01", None),
        ("2026-02-30_x", None, None, None),
    ],
)  # fmt: skip
def test_the_later_of_two_dates_counts_if_it_is_one(
    tmp_path: Path, folder: str, claimed: str | None, wanted: str | None, problem: str | None
) -> None:
    read = read_folder(record(tmp_path / folder, val_bpb=1.0, date=claimed), "x")
    assert (read.date.value if read.date else None) == wanted
    assert [p.value for p in read.problems] == ([problem] if problem else [])


@pytest.mark.parametrize("below", ["", "a/b"])
def test_a_record_that_may_not_be_listed_is_found_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    closed = tmp_path / below / "closed"
    closed.mkdir(parents=True)
    record(tmp_path / "other", val_bpb=1.0)
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert list(find_folders([closed])) == [closed]
    assert set(find_folders([tmp_path])) == {closed, tmp_path / "other"}
    assert said(read_folder(closed, "x").problems) == [(".", "cannot be listed")]
    # Within a record it is a part of that record.
    inside = record(tmp_path / "z", val_bpb=1.0)
    (inside / "closed").mkdir()
    assert list(find_folders([inside])) == [inside]


def test_claims_that_vanish_or_are_closed_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = record(tmp_path, val_bpb=1.0)
    monkeypatch.setattr(folder_module, "read_start", lambda path, limit: None)
    read = read_folder(place, "x")
    assert read.claims is None
    assert said(read.problems) == [("submission.json", "cannot be read")]


def test_packed_logs_are_said_and_are_no_weights(tmp_path: Path) -> None:
    place = record(tmp_path, val_bpb=1.0)
    packed = ["a.log.bz2", "a.log.gz", "a.log.xz", "a.log.zst"]
    for name in (*packed, "b.jsonl", "model.ptz.xz"):
        (place / name).write_bytes(b"x")
    read = read_folder(place, "x")
    assert said(read.problems) == [
        *((name, "is packed; not read") for name in packed),
        ("b.jsonl", "has lines of JSON; not read"),
    ]
    assert [artifact.file for artifact in read.artifacts] == ["model.ptz.xz"]


def test_empty_logs_and_other_texts_push_no_log_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MAX_LOGS", 2)
    place = record(tmp_path, val_bpb=1.085)
    for number in range(3):
        (place / f"a{number}.log").touch()
        (place / f"b{number}.txt").write_text(LOG.format(seed=1, bpb=1.5))
    read = read_folder(place, "x")
    assert [log.name for log in read.logs] == ["train_seed42.log", "train_seed7.log"]
    assert said(read.problems) == [
        *((f"a{number}.log", "is empty") for number in range(3)),
        (".", "5 logs; the first 2 are read"),
    ]


def test_the_logs_of_a_folder_have_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = record(tmp_path, val_bpb=1.0)
    (place / "a.txt").write_text(LOG.format(seed=1, bpb=1.5))
    size = (place / "train_seed42.log").stat().st_size
    monkeypatch.setattr(folder_module, "LOG_BYTES", 2 * size + 3)
    read = read_folder(place, "x")
    assert [log.name for log in read.logs] == ["train_seed42.log", "train_seed7.log"]
    assert said(read.problems) == [(".", "more than 0 MiB of logs; 1 of them are not read")]
    assert folder_module.MAX_LOGS * 2 * text_module.WINDOW_BYTES > 128 << 20


def test_trainings_of_a_folder_are_bounded_and_joined_in_time(tmp_path: Path) -> None:
    """Each run once went through all logs of all trainings."""
    place = record(tmp_path, logs=False, val_bpb=1.0)
    step = "step:1/2 train_time:7ms\n"
    for number in range(60):
        text = "".join(
            f"seed: {number * 100 + n}\n{step}final val_loss:1.8 val_bpb:1.{n:04d}\n"
            for n in range(60)
        )
        (place / f"{number}.log").write_text(text)
    begin = time.process_time()
    read = read_folder(place, "x")
    assert time.process_time() - begin < 6
    assert len(read.logs) == folder_module.MAX_TRAININGS
    assert said(read.problems) == [(".", "1,980 trainings in its logs; the first 600 are judged")]


def test_what_is_said_of_the_whole_folder_is_never_cut(tmp_path: Path) -> None:
    place = record(tmp_path, val_bpb=1.0)
    for number in range(300):
        (place / f"{number:03d}.log").touch()
        (place / f"x{number:03d}.log").write_text("x")
    problems = read_folder(place, "x").problems
    assert problems[0].value == "302 logs; the first 200 are read"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("TRAIN.LOG", True),
        ("nohup.out", True),
        ("train_seed1.txt", True),
        ("logs.txt", True),
        ("eval-run.TXT", True),
        ("trainlog.txt", True),
        ("notes.txt", False),
        ("catalogue.txt", False),
        ("requirements.txt", False),
        ("runtime.txt", False),
        ("train.py", False),
    ],
)
def test_a_log_of_any_usual_name_makes_a_record(tmp_path: Path, name: str, found: bool) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_text(LOG.format(seed=1, bpb=1.5))
    assert names(tmp_path) == (["a"] if found else [])
    record(tmp_path / "b", val_bpb=1.0)
    assert names(tmp_path) == (["a", "b"] if found else ["b"])
