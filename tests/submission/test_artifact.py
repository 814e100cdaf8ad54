"""The artifact's files: what the manifest declares, what is counted, and what is refused."""

import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from harness.manifest import load as load_manifest
from submission import artifact, pack
from submission.artifact import from_bytes, load, native_files
from submission.designs import NEUTRAL
from submission.export import MIXER_SLACK, artifact_room
from submission.mixer import NO_HINT
from submission.score import Scorer
from tests.judged import ROOT
from tests.submission.tiny import PIECES, PRESET, WEIGHTS, random_artifact

ARTIFACT = random_artifact()
STREAM = np.tile(np.arange(2, 14, dtype=np.uint32), 5)


def test_the_counts_come_along_under_the_names_that_the_manifest_declares():
    files = native_files()
    declared = load_manifest(ROOT / "submission").artifact.output
    assert set(declared) == {artifact.WEIGHTS, artifact.MIXER, *files}
    for name, data in files.items():
        there = ROOT / name
        assert data == (there.read_bytes() if there.exists() else b"")


def test_their_bytes_are_counted():
    files = native_files()
    alone, beside = (artifact_room(ROOT / "submission", 10**6, some) for some in ({}, files))
    assert alone - beside == sum(len(data) for data in files.values()) > 10_000
    mixer = {artifact.MIXER: ARTIFACT.mixer_bytes()}
    both = artifact_room(ROOT / "submission", 10**6, {**files, **mixer})
    assert beside - both == len(ARTIFACT.mixer_bytes())
    manifest = load_manifest(ROOT / "submission")
    paths = [ROOT / "submission" / name for name in ("submission.toml", *manifest.artifact.code)]
    code = sum(path.stat().st_size for path in paths)
    assert alone == 10**6 - code - MIXER_SLACK


def packed(**changes):
    meta = {"format": artifact.FORMAT, "mixer": asdict(PRESET.mixer), "weights": WEIGHTS}
    return pack.pack(PIECES.arrays(), {**meta, **changes})


def without(name):
    arrays = PIECES.arrays()
    del arrays[name]
    meta = {"format": artifact.FORMAT, "mixer": asdict(PRESET.mixer), "weights": WEIGHTS}
    return pack.pack(arrays, meta)


def of_pieces(**changes):
    meta = {"format": artifact.FORMAT, "mixer": asdict(PRESET.mixer), "weights": WEIGHTS}
    return pack.pack({**PIECES.arrays(), **changes}, meta)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


REFUSED = {
    "nothing": b"",
    "no blob": b"{}",
    "cut short": ARTIFACT.mixer_bytes()[:-1],
    "a bit less": flipped(ARTIFACT.mixer_bytes(), 60),
    "the weights": ARTIFACT.to_bytes(),
    "an older format": packed(format=artifact.FORMAT - 1),
    "an unknown setting": packed(mixer={**asdict(PRESET.mixer), "lengths": [1, 2]}),
    "an unknown design": packed(mixer={**asdict(PRESET.mixer), "design": "L9"}),
    "an unknown context": packed(mixer={**asdict(PRESET.mixer), "contexts": ["token"]}),
    "no weights": packed(weights=None),
    "too few weights": packed(weights=[[0.0, 1.0, 0.0]] * 2),
    "weights of no number": packed(weights=[[0.0, 1.0, None]] * 3),
    "tables of no number": packed(mixer={**asdict(PRESET.mixer), "most_table_bytes": True}),
    "pieces without texts": without("text"),
    "pieces of no class": of_pieces(class_V=np.full(40, 7, np.uint8)),
    "another vocabulary": of_pieces(
        text=np.zeros(0, np.uint8), size_V=np.zeros(9, "<u2"), class_V=np.zeros(9, np.uint8)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_mixer_is_refused_with_a_sentence(tmp_path, name):
    (tmp_path / artifact.WEIGHTS).write_bytes(ARTIFACT.to_bytes())
    (tmp_path / artifact.MIXER).write_bytes(REFUSED[name])
    with pytest.raises(pack.CorruptBlobError) as problem:
        load(tmp_path)
    said = str(problem.value)
    assert said.count("export again") == 1
    assert "\n" not in said


def test_a_whole_mixer_is_taken():
    back = from_bytes(ARTIFACT.to_bytes(), packed())
    assert (back.mixer, back.mixer_weights) == (PRESET.mixer, WEIGHTS)
    assert back.mixer_bytes() == ARTIFACT.mixer_bytes() == packed()


def test_without_a_mixer_the_artifact_changes_nothing():
    built = from_bytes(ARTIFACT.to_bytes())
    assert built.mixture().weights == (NEUTRAL,) * 3
    plain = Scorer(ARTIFACT, mixer=False).score(STREAM)
    assert np.allclose(Scorer(built).score(STREAM), plain, atol=2e-5)


def test_without_a_tokenizer_the_token_expert_alone_speaks():
    built = replace(ARTIFACT, pieces=None)
    back = from_bytes(built.to_bytes(), built.mixer_bytes())
    assert set(back.pieces.class_V.tolist()) == {0}
    scorer = Scorer(back)
    _, said = scorer.evidence(STREAM)
    assert (said.token_TE[:, 0] != NO_HINT).any()
    assert (said.token_TE[:, 1:] == NO_HINT).all()
    assert not said.open_T.any()
    assert scorer.score(STREAM).mean() != pytest.approx(
        Scorer(ARTIFACT, mixer=False).score(STREAM).mean(), abs=0.01
    )


def test_each_mixture_has_a_state_of_its_own():
    built = replace(ARTIFACT, mixer=replace(PRESET.mixer, design="L5"))
    one, two = built.mixture(), built.mixture()
    one.calibration.seen_EQC += 1
    assert not two.calibration.seen_EQC.any()


SEALED = """
import sys
sealed = sys.argv[1]
sys.path.insert(0, sealed)
import numpy as np
from native import counts
from native.words import token_tables
assert counts.__file__.startswith(sealed), counts.__file__
state = counts.Counts(
    ["token:2"], token_tables([b"a"] * 9, [True] * 9, [False] * 9), table_bytes=4096, block_tokens=20
)
state.accept(np.array([1, 2, 3, 1, 2]))
print(state.compiled, state.look(np.array([3])).token_XT[0].tolist())
"""


@pytest.mark.parametrize("built", [True, False], ids=["as it is", "not compiled"])
def test_what_comes_along_counts_on_its_own(tmp_path, built):
    """Where no compiler was, the compiled part is an empty file, and plain Python counts."""
    (tmp_path / "native").mkdir()
    for name, data in native_files().items():
        (tmp_path / name).write_bytes(data if built or name != artifact.NATIVE_BUILT else b"")
    command = [sys.executable, "-P", "-c", SEALED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    compiled = built and native_files()[artifact.NATIVE_BUILT] != b""
    assert done.stdout == f"{compiled} [3, 1]\n", done.stderr


def test_where_nothing_was_compiled_an_empty_file_stands_for_it(tmp_path, monkeypatch):
    for name in artifact.NATIVE:
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(artifact.native, "__file__", str(tmp_path / "__init__.py"))
    files = native_files()
    assert files.pop(artifact.NATIVE_BUILT) == b""
    assert files == {f"native/{name}": name.encode() for name in artifact.NATIVE}
