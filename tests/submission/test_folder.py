"""A folder for another preset is a submission that the judge takes."""

import subprocess
import sys

import pytest

from harness.manifest import load
from submission.folder import BLOCK_TOKENS, lay_out, manifest
from submission.presets import PRESETS
from tests.judged import ROOT


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("gpus", [1, 8])
def test_every_preset_is_a_valid_submission(tmp_path, preset, gpus):
    lay_out(preset, tmp_path / "mine", gpus)
    read = load(tmp_path / "mine")
    assert read.name == f"reference-{preset}"
    assert read.train.env["SUBMISSION_PRESET"] == preset
    assert read.score.block_tokens == (1024 if preset == "smoke" else BLOCK_TOKENS)
    assert ("--nproc-per-node=8" in read.train.command) == (gpus == 8)
    assert read.train.command[-2:] == ("-m", "submission.train")
    own = {path.name for path in (ROOT / "submission").glob("*.py")}
    assert own < {path.name for path in (tmp_path / "mine").iterdir()}


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(FileExistsError):
        lay_out("h100", tmp_path)
    with pytest.raises(ValueError, match="smoke, h100, record"):
        lay_out("h200", tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_of_another_shape_is_not_guessed_at():
    with pytest.raises(ValueError, match="exactly once"):
        manifest("schema = 1", "h100", 1)


def test_the_command_line_says_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "submission.folder", "h100", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "exists" in done.stderr
