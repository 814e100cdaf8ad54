"""Bad input to the command line: one sentence that names the file, the field and the remedy; exit 2."""

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.commands.run import _seeds
from harness.errors import (
    EXIT_USAGE,
    UsageError,
)
from tests.judged import BASELINE, QUICK


def changed_copy(folder: Path, target: Path, change) -> Path:
    copied = Path(shutil.copytree(folder, target))
    change(copied)
    return copied


def replace(file: str, old: str, new: str):
    def change(folder):
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return change


def gone(file: str):
    return lambda folder: (folder / file).unlink()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replace("submission.toml", "block_tokens", "block_token"), "did you mean `block_tokens`?"),
        (replace("submission.toml", "schema = 1", "schema = "), "not TOML: "),
        (gone("submission.toml"), "no such file; a submission is a folder with a submission.toml"),
        (gone("uniform.py"), "artifact.code names 'uniform.py', but "),
        (replace("submission.toml", '"python"', '"pyton"'), "train.command 'pyton': no such program"),
        (replace("submission.toml", "predict = true", "predict = 1"), "$.score.predict"),
    ],
)  # fmt: skip
def test_a_bad_submission(submission, rules, tiny_data, desk, tmp_path, change, says):
    mine = changed_copy(submission, tmp_path / "mine", change)
    said = desk.refuses("run", mine, "--ruleset", rules, "--data", tiny_data.folder)
    assert says in said
    assert str(mine / "submission.toml") in said


@pytest.mark.parametrize(
    "text", ["1,1", "01,1", "abc", "", ",", "1,", "-1", "1.5", "1;2", "٣", "1" * 10]
)
def test_bad_seeds(submission, desk, text):
    said = desk.refuses("run", submission, "--seeds", text)
    assert said.startswith(f"harness: --seeds {text!r}: ")
    assert ("given twice; give each seed once" in said) == (text in ("1,1", "01,1"))


@given(st.lists(st.integers(0, 999_999_999), min_size=1, max_size=5))
def test_seeds_are_read_as_they_are_written(numbers):
    for text in (",".join(map(str, numbers)), " , ".join(map(str, numbers))):
        if len(set(numbers)) == len(numbers):
            assert _seeds(text) == tuple(numbers)
        else:
            with pytest.raises(UsageError, match="is given twice"):
                _seeds(text)


@given(st.text(max_size=8))
def test_any_other_text_for_seeds_is_read_or_refused(text):
    try:
        numbers = _seeds(text)
    except UsageError as error:
        assert repr(text) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(0 <= number <= 999_999_999 for number in numbers)


def cut_shard(folder):
    path = next((folder / "val").glob("*.bin"))
    path.write_bytes(path.read_bytes()[:-2])


def flip_bit(folder):
    path = next((folder / "train").glob("*.bin"))
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(bytes(data))


def lie_about_tokens(folder):
    path = next((folder / "val").glob("*.bin"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, 8, 5)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (shutil.rmtree, "harness data build"),
        (lambda folder: (folder / "dataset.json").unlink(), "harness data build"),
        (cut_shard, "val_000000.bin"),
        (flip_bit, "train_000000.bin"),
        (lie_about_tokens, "val_000000.bin"),
        (lambda folder: next((folder / "val").glob("*.bin")).unlink(), "no such file; restore it"),
    ],
)  # fmt: skip
def test_bad_data(submission, rules, tiny_data, desk, tmp_path, change, says):
    data = changed_copy(tiny_data.folder, tmp_path / "data", change)
    said = desk.refuses("run", submission, "--ruleset", rules, "--data", data)
    assert says in said
    assert str(data) in said


def test_a_typo_in_the_manifest_is_told_before_data_are_looked_at(
    submission, rules, desk, tmp_path
):
    mine = changed_copy(submission, tmp_path / "mine", replace("submission.toml", "name", "nmae"))
    assert "`nmae`" in desk.refuses("run", mine, "--ruleset", rules, "--data", tmp_path / "absent")
    assert not (tmp_path / "runs").exists()


def test_a_ruleset_that_brings_no_data_asks_for_them(submission, desk):
    said = desk.refuses("run", submission, "--ruleset", "parameter-golf")
    assert "parameter-golf has no embedded data; name a data folder with --data" in said


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("smok", None, "no ruleset 'smok': take one of parameter-golf, parameter-golf-frontier, smoke"),
        ("absent.toml", None, "absent.toml: No such file or directory"),
        ("my.toml", "train_s = 5.0", "my.toml: "),
        ("my.toml", QUICK.read_text().replace("train_s", "trian_s"), "field `trian_s` - at `$.phases`"),
        ("my.toml", QUICK.read_text().replace("setup_s = 30.0\n", ""), "missing required field `setup_s`"),
        ("my.toml", QUICK.read_text(), "my.toml: stats.baseline names 'quick.toml'"),
    ],
)  # fmt: skip
def test_a_bad_ruleset(submission, tiny_data, desk, tmp_path, name, text, says):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert says in desk.refuses("run", submission, "--ruleset", name, "--data", tiny_data.folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "base.toml: No such file or directory; name a baseline file"),
        (b"\xff", "base.toml: not UTF-8 text; name a baseline file"),
        (b"seeds = [1]", "base.toml: Object missing required field"),
        (BASELINE.format(1, 2, 0, 1).encode(), "base.toml: "),
        (BASELINE.format(1, 2, "nan", 1).encode(), "$.nats_per_token[2]"),
        (BASELINE.replace("[1, 2, 3]", "[1, 2]").format(1, 2, 3, 1).encode(), "2 seeds but 3 nats_per_token"),
    ],
)  # fmt: skip
def test_a_bad_baseline(asked, desk, tmp_path, content, says):
    if content is not None:
        (tmp_path / "base.toml").write_bytes(content)
    assert says in desk.refuses(*asked, "--baseline", tmp_path / "base.toml")


@pytest.mark.parametrize("place", ["file/runs", "file"])
def test_an_unwritable_place(asked, desk, tmp_path, place):
    (tmp_path / "file").write_text("")
    said = desk.refuses(*asked, "--out", tmp_path / place)
    assert f"--out {tmp_path / place}: " in said
    assert said.endswith("; choose a writable folder")


def test_bad_resuming(run_without_baseline, desk, tmp_path):
    run, _ = run_without_baseline
    for extra in (
        ["--seeds", "1"],
        ["--out", "x"],
        ["--ruleset", "smoke"],
        ["--data", "d"],
        [tmp_path],
    ):
        said = desk.refuses("run", "--resume", run, *extra)
        assert "--resume goes on with what the run was asked; leave out " in said
    for place in (tmp_path, tmp_path / "absent"):
        for words in (("run", "--resume", place), ("report", place)):
            assert "no run.json in it; name the folder of a run" in desk.refuses(*words)
    said = desk.refuses("report", run / "run.json")
    assert "its run.json cannot be read; name the folder of a run that is whole" in said


def test_bad_baselines_are_not_made(run_without_baseline, desk, tmp_path):
    run, _ = run_without_baseline
    copied = Path(shutil.copytree(run, tmp_path / "copy"))
    for out in ("", ".", "base", str(tmp_path / "folder/")):
        assert "not the name of a .toml file" in desk.refuses("baseline", run, "--out", out)
    assert "choose a writable place" in desk.refuses("baseline", run, "--out", "absent/base.toml")
    assert "not UTF-8" in desk.refuses(
        "baseline", run, "--out", "b.toml", "--name", os.fsdecode(b"\xff")
    )
    text = (copied / "report.json").read_text()
    (copied / "report.json").write_text(text[:-10])
    assert "give a file that harness wrote" in desk.refuses("baseline", copied, "--out", "b.toml")
    report = json.loads(text)
    next(f for f in report["findings"] if f["id"] == "order.blind")["status"] = "ERROR"
    (copied / "report.json").write_text(json.dumps(report))
    assert "order.blind did not pass, so its scores are nothing" in desk.refuses(
        "baseline", copied, "--out", "b.toml"
    )
    (copied / "report.json").unlink()
    assert "finish the run first" in desk.refuses("baseline", copied, "--out", "b.toml")
    assert not (tmp_path / "b.toml").exists()


@pytest.mark.parametrize(
    "arguments",
    [["run", "--sedes", "1"], ["runn"], ["report"], ["baseline", "x"], ["run", "a", "b"]],
)
def test_words_that_mean_nothing_are_usage_errors(desk, arguments):
    status, out, err = desk(*arguments)
    assert (status, out) == (EXIT_USAGE, "")
    assert "Error: " in err


def test_control_characters_of_a_file_name_do_not_reach_the_terminal(desk, tmp_path):
    said = desk.refuses("run", tmp_path / "\x1b[31mred\n")
    assert "\x1b" not in said
    assert "\\x1b[31mred\\n" in said
