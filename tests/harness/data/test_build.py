import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.commands.data import data
from harness.data import build as build_module
from harness.data.build import Recipe, build_dataset
from harness.data.dataset import open_dataset
from harness.data.embedded import MODEL_FILE
from harness.data.recount import count_text
from harness.data.staging import staged
from harness.data.tokenizers import load_tokenizer
from harness.errors import DataError

pytest.importorskip("sentencepiece")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "my.text.txt"
    lines = [f"document {n} says {'this and that ' * (n % 5)}{n * n}" for n in range(400)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "building" in path.name]


def test_build_verify_show(tmp_path: Path, text: Path) -> None:
    out = tmp_path / "new" / "data"
    result = run("build", "--text", text, "--vocab", 300, "--out", out)
    assert result.exception is None, result.output
    assert "one document a line" in result.output
    dataset = open_dataset(out)
    assert dataset.name == "my"
    lines = text.read_text().split("\n")
    assert dataset.train.documents + dataset.val.documents == len(lines)
    assert (dataset.train.text_bytes or 0) + (dataset.val.text_bytes or 0) == sum(map(len, lines))
    assert dataset.tokenizer is not None
    tokenizer = load_tokenizer(dataset.tokenizer.path)
    starts = np.flatnonzero(dataset.train.load_tokens() == 1)
    decoded = tokenizer.decode(np.split(dataset.train.load_tokens(), starts)[1:])
    assert decoded == [line for line in lines if line in set(decoded)]
    assert run("verify", out).exception is None
    facts = json.loads(run("show", out, "--json").output)
    assert facts["text"]["text_bytes"] == dataset.val.text_bytes
    assert facts["digests"]["val"] == dataset.val.sha256


def test_the_same_text_gives_the_same_data(tmp_path: Path, text: Path) -> None:
    recipe = Recipe(text=text, vocab_size=300, val_fraction=0.2)
    first = build_dataset(recipe, tmp_path / "a")
    second = build_dataset(recipe, tmp_path / "b")
    assert first.digests == second.digests


def test_own_validation_text_and_what_is_in_both(tmp_path: Path, text: Path) -> None:
    lines = text.read_text().split("\n")
    own = tmp_path / "val.txt"
    own.write_text(lines[3] + "\n" + "quite another\n")
    dataset = build_dataset(Recipe(text=text, vocab_size=300, val_text=own), tmp_path / "d")
    assert (dataset.train.documents, dataset.val.documents) == (399, 2)
    assert any("1 train documents were left out" in note for note in dataset.notes)


def test_equal_documents_are_on_one_side(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("\n".join(f"document {n % 50}" for n in range(500)))
    dataset = build_dataset(
        Recipe(text=path, tokenizer=MODEL_FILE, val_fraction=0.3), tmp_path / "d"
    )
    assert dataset.val.documents % 10 == 0
    assert 50 <= dataset.val.documents <= 250


@pytest.mark.parametrize("val_fraction", [1e-9, 0.3])
@pytest.mark.parametrize("val_bytes", [1, 2000, 500_000])
@pytest.mark.parametrize("documents", [2, 3, 100])
def test_what_is_held_out_is_enough_and_no_more(
    tmp_path: Path, documents: int, val_bytes: int, val_fraction: float
) -> None:
    lines = [f"document {n} " * 5 for n in range(documents)]
    path = tmp_path / "t.txt"
    path.write_text("\n".join(lines))
    dataset = build_dataset(
        Recipe(text=path, tokenizer=MODEL_FILE, val_fraction=val_fraction, val_bytes=val_bytes),
        tmp_path / "d",
    )
    largest, total = max(map(len, lines)), sum(map(len, lines))
    wanted = min(val_bytes, val_fraction * total)
    assert dataset.val.documents >= 1
    assert dataset.train.documents >= 1
    assert wanted <= (dataset.val.text_bytes or 0) < wanted + largest


def test_shards_are_cut(tmp_path: Path, text: Path) -> None:
    recipe = Recipe(text=text, tokenizer=MODEL_FILE, shard_tokens=1000)
    whole = build_dataset(Recipe(text=text, tokenizer=MODEL_FILE), tmp_path / "whole")
    parts = build_dataset(recipe, tmp_path / "parts")
    assert len(parts.train.shards) > 2
    assert parts.train.load_tokens().tolist() == whole.train.load_tokens().tolist()
    assert count_text(parts) == count_text(whole)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--vocab", "70000"], "--vocab: 70000 is not in"),
        (["--vocab", "20000"], "does not suit this text"),
        ([], "give either --vocab"),
        (["--vocab", "300", "--tokenizer", "x"], "give either --vocab"),
        (["--tokenizer", "none.model"], "none.model: No such file"),
        (["--vocab", "300", "--val-fraction", "1.5"], "--val-fraction: 1.5"),
        (["--vocab", "300", "--val-fraction", "nan"], "--val-fraction: nan"),
        (["--vocab", "300", "--val-bytes", "0"], "--val-bytes: 0"),
        (["--vocab", "300", "--documents", "file"], "leaves no document for validation"),
        (["--vocab", "300", "--val-text", "none.txt"], "none.txt: no such file"),
        (["--vocab", "300", "--shard-tokens", "0"], "shard tokens: 0"),
        (["--vocab", "300", "--text", "none.txt"], "none.txt: no such file"),
    ],
)
def test_bad_options(tmp_path: Path, text: Path, options: list[str], says: str) -> None:
    before = sorted(tmp_path.iterdir())
    result = run("build", "--text", text, "--out", tmp_path / "d", *options)
    assert isinstance(result.exception, DataError), result.output
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)
    assert sorted(tmp_path.iterdir()) == before


def test_empty_text(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match="leaves no document to train on"):
        build_dataset(Recipe(text=tmp_path / "empty.txt", vocab_size=300), tmp_path / "d")


def test_places_that_are_taken(tmp_path: Path, text: Path) -> None:
    recipe = Recipe(text=text, tokenizer=MODEL_FILE)
    taken = tmp_path / "taken"
    taken.mkdir()
    first = build_dataset(recipe, taken)  # an empty folder will do
    with pytest.raises(DataError, match="is there already"):
        build_dataset(recipe, taken)
    other = Recipe(text=text, tokenizer=MODEL_FILE, name="other")
    assert build_dataset(other, taken, force=True).name == "other"
    assert first.digests["val"] == open_dataset(taken).digests["val"]
    (taken / "dataset.json").unlink()
    with pytest.raises(DataError, match="--force does not replace it"):
        build_dataset(recipe, taken, force=True)
    with pytest.raises(DataError, match="choose an --out that can be written"):
        build_dataset(recipe, text / "d")
    assert left_behind(tmp_path) == []


def test_a_failure_with_force_keeps_what_was_there(tmp_path: Path, text: Path) -> None:
    kept = build_dataset(Recipe(text=text, tokenizer=MODEL_FILE), tmp_path / "d")
    with pytest.raises(DataError):
        build_dataset(Recipe(text=text, vocab_size=50_000), tmp_path / "d", force=True)
    assert open_dataset(tmp_path / "d").digests == kept.digests


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.data import build
real = build.write_record
build.write_record = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
build.build_dataset(build.Recipe(text=Path(sys.argv[1]), tokenizer=Path(sys.argv[2])), Path(sys.argv[3]))
"""


def test_a_killed_build_leaves_nothing_that_opens(tmp_path: Path, text: Path) -> None:
    out = tmp_path / "d"
    command = [sys.executable, "-c", KILLED, str(text), str(MODEL_FILE), str(out)]
    assert subprocess.run(command, cwd=Path(__file__).parents[3]).returncode == -signal.SIGKILL
    assert not out.exists()
    (stale,) = left_behind(tmp_path)
    with pytest.raises(DataError):
        open_dataset(tmp_path / stale)
    build_dataset(Recipe(text=text, tokenizer=MODEL_FILE), out)
    assert left_behind(tmp_path) == []


def test_a_live_build_is_left_alone(tmp_path: Path, text: Path) -> None:
    mine = staged(tmp_path / "d")
    stage = mine.__enter__()
    build_dataset(Recipe(text=text, tokenizer=MODEL_FILE), tmp_path / "d")
    assert stage.is_dir()
    with pytest.raises(DataError, match="is there already"):
        mine.__exit__(None, None, None)
    assert open_dataset(tmp_path / "d").val.documents
    assert left_behind(tmp_path) == []


def test_names_that_mean_something_to_glob(tmp_path: Path) -> None:
    with staged(tmp_path / "da*a[1]") as stage:
        (stage / "x").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["da*a[1]"]


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tokenizer was trained on."""
    seen: list[str] = []
    real = build_module.train_tokenizer

    def spy(documents: Any, vocab_size: int) -> Any:
        seen.extend(documents)
        return real(seen, vocab_size)

    monkeypatch.setattr(build_module, "train_tokenizer", spy)
    return seen


def test_the_sample_is_bounded(
    tmp_path: Path, text: Path, sampled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SAMPLE_BYTES", 4000)
    build_dataset(Recipe(text=text, vocab_size=280, val_fraction=0.6), tmp_path / "d")
    assert 2000 < sum(map(len, sampled)) < 8000


def test_one_long_document_is_sampled_too(
    tmp_path: Path, sampled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SAMPLE_BYTES", 40_000)
    sounds = ["ta", "ke", "mir", "sol", "du", "nop", "fe"]
    words = [sounds[n % 7] + sounds[n * n % 5] + sounds[n // 7 % 7] for n in range(50_000)]
    (tmp_path / "t.txt").write_text(" ".join(words))
    (tmp_path / "v.txt").write_text("takemir")
    recipe = Recipe(text=tmp_path / "t.txt", vocab_size=300, val_text=tmp_path / "v.txt")
    build_dataset(recipe, tmp_path / "d")
    assert 20_000 < sum(map(len, sampled)) < 85_000


def test_the_command_imports_click_alone() -> None:
    probe = (
        "import sys, harness.commands.data; "
        "print(sorted({'numpy','rich','scipy','msgspec','sentencepiece','torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
