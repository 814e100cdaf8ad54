"""The same evidence gives the same report, here and elsewhere; a report that it does not give is named."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from checks.contract import Status
from harness import machine, verdict
from harness.attest import regrading
from harness.attest.regrading import regrade
from harness.data import embedded
from harness.errors import DataElsewhere, DataError, JudgeError, UsageError
from harness.report.model import SCHEMA_VERSION
from harness.selftest import tiny
from tests.harness.attest.conftest import write_report


def rewrite(path: Path, change) -> None:
    """Change a JSON file by a function of its value."""
    value = json.loads(path.read_text())
    value = change(value) or value
    path.write_text(json.dumps(value))


def rewrite_report(folder: Path, change) -> None:
    """Change report.json, and write it as harness writes it."""
    value = json.loads((folder / "report.json").read_text())
    change(value)
    (folder / "report.json").write_bytes(encoded(value))


def encoded(value) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def setter(*path, value):
    def change(record):
        for name in path[:-1]:
            record = record[name]
        assert record[path[-1]] != value
        record[path[-1]] = value

    return change


@pytest.mark.parametrize("schema", [SCHEMA_VERSION, "1.0"])
def test_a_name_that_stands_twice_is_a_difference_in_any_schema(copied, schema):
    path = copied / "report.json"
    report = path.read_text().replace(
        f'"schema_version": "{SCHEMA_VERSION}"', f'"schema_version": "{schema}"'
    )
    path.write_text(report.replace('"attempts":', '"verdict": "FAIL", "attempts":', 1))
    assert [d.path for d in regrade(copied).differences] == [regrading.TEXT]


def test_it_is_equal_and_nothing_is_written(copied):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    found = regrade(copied)
    assert (found.status, found.exit_code, found.differences) == (Status.PASS, 0, ())
    assert found.not_compared == ("harness_version", "schema_version")
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (setter("verdict", value="FAIL"), "verdict"),
        (setter("exit_code", value=3), "exit_code"),
        (setter("run_id", value="another"), "run_id"),
        (setter("nats_per_token_mean", value=1.0), "nats_per_token_mean"),
        (setter("nats_per_token_mean", value=None), "nats_per_token_mean"),
        (setter("seeds", 0, "nats_per_token", value=1.0), "seeds[0].nats_per_token"),
        (setter("seeds", 0, "tokens", value=10_002), "seeds[0].tokens"),
        (setter("seeds", 0, "artifact_bytes", value=12), "seeds[0].artifact_bytes"),
        (setter("seeds", 0, "phases", 1, "wall_s", value=0.001), "seeds[0].phases[1].wall_s"),
        (setter("machine", "cpu", value="faster"), "machine.cpu"),
        (setter("ruleset", "sha256", value="0" * 64), "ruleset.sha256"),
        (setter("submission", "name", value="ours"), "submission.name"),
        (setter("guarantees", 0, "state", value="not enforced"), "guarantees[0].state"),
        (setter("findings", 7, "status", value="ERROR"), "findings[7].status"),
        (setter("attempts", value=2), "attempts"),
        (lambda report: report["seeds"].append(report["seeds"][0]), "seeds[1]"),
        (lambda report: report["seeds"].clear(), "seeds[0]"),
        (lambda report: report["challenge_seed"].update({"1": "0"}), "challenge_seed.1"),
    ],
)  # fmt: skip
def test_each_change_of_the_report_is_named(copied, change, path):
    rewrite_report(copied, change)
    found = regrade(copied)
    assert (found.status, found.exit_code) == (Status.FAIL, 1)
    assert [each.path for each in found.differences] == [path]


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*path, name))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from leaves(part, (*path, at))
    else:
        yield path, value


@pytest.fixture(scope="module")
def ours(signed_run):
    return regrade_of(signed_run)


@given(data=st.data())
@settings(max_examples=40)
def test_no_leaf_of_a_report_can_be_something_else(signed_run, ours, data):
    """Compared in memory, as `regrade` does after it has read both."""
    stored = regrading.read_report(signed_run)
    report = json.loads(stored.data)
    paths = [
        (path, value)
        for path, value in leaves(report)
        if path[0] not in regrading.ALWAYS_OTHER and path[-1] != "piece"
    ]
    path, value = data.draw(st.sampled_from(paths))
    other = data.draw(
        st.sampled_from([None, True, 0, 1, -1.5, "", "PASS"]).filter(
            lambda drawn: drawn != value and not (drawn == 0 and is_tiny(value))
        )
    )
    setter(*path, value=other)(report)
    changed = regrading.Stored(report=stored.report, data=encoded(report), sha256="")
    differences, _ = regrading.compare(changed, ours, machine=True)
    assert differences
    last = f"[{path[-1]}]" if isinstance(path[-1], int) else path[-1]
    assert differences[0].path.endswith(last)


def regrade_of(folder):
    found = regrade(folder)
    assert found.recomputed is not None
    return found.recomputed


def is_tiny(value) -> bool:
    return isinstance(value, float) and abs(value) <= regrading.ABS_TOL


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, None, False),
        ("1", 1, False),
        (2**60, 2**60 + 1, False),
    ],
)
def test_values_of_other_kinds_are_other_values(one, other, equal):
    assert (regrading.exact_differences({"a": [one]}, {"a": [other]}) == []) == equal


@pytest.mark.parametrize(("factor", "equal"), [(1 + 1e-12, True), (1 + 1e-6, False)])
def test_a_last_bit_of_arithmetic_is_no_difference_and_more_is(copied, factor, equal):
    def change(report):
        report["seeds"][0]["curve"][3][1] *= factor

    rewrite_report(copied, change)
    found = regrade(copied)
    assert (found.differences == ()) == equal
    assert found.exit_code == (0 if equal else 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b" ",
        lambda text: text.replace(b'  "exit_code": 0,', b'  "exit_code": 1,\n  "exit_code": 0,'),
        lambda text: text.replace(b'"attempts": 1', b'"attempts":  1'),
    ],
)
def test_the_same_values_in_another_writing_are_not_the_report(copied, change):
    """Of a name that stands twice, another reader may believe the other value."""
    path = copied / "report.json"
    text = change(path.read_bytes())
    assert text != path.read_bytes()
    path.write_bytes(text)
    found = regrade(copied)
    assert [each.path for each in found.differences] == [regrading.TEXT]
    assert found.exit_code == 1


def test_a_report_of_another_version_is_undecided_where_it_differs(copied, monkeypatch):
    monkeypatch.setattr(regrading, "__version__", "9.9.9")
    assert regrade(copied).exit_code == 0
    rewrite_report(copied, setter("nats_per_token_mean", value=1.0))
    found = regrade(copied)
    assert (found.status, found.exit_code) == (Status.ERROR, 3)
    assert f"harness {harness.__version__} wrote it and this is 9.9.9; regrade it" in found.message


def test_fields_that_an_older_schema_lacks_are_not_missed(copied, monkeypatch):
    def age(report):
        report["schema_version"] = "1.0"
        for seed in report["seeds"]:
            seed.pop("worst", None)

    rewrite_report(copied, age)
    assert SCHEMA_VERSION != "1.0"
    assert regrade(copied).exit_code == 0


def test_the_verdict_is_the_exit_code(copied):
    rewrite(copied / "seeds/1/train.json", setter("train", "wall_s", value=31.0))
    assert regrade(copied).exit_code == 1
    assert regrade(copied).differences != ()
    assert write_report(copied).exit_code == 1
    found = regrade(copied)
    assert (found.status, found.differences, found.exit_code) == (Status.PASS, (), 1)
    (copied / "seeds/1/challenge.json").unlink()
    assert regrade(copied).exit_code == 1
    write_report(copied)
    found = regrade(copied)
    assert (found.status, found.exit_code, found.unfinished) == (Status.PASS, 1, 1)


# --- another machine ---


def test_the_machine_is_the_one_that_ran_wherever_it_is_judged(copied, monkeypatch):
    other = msgspec.structs.replace(machine.describe(), cpu="another", cores=99)
    monkeypatch.setattr(machine, "describe", lambda: other)
    found = regrade(copied)
    assert found.differences == ()
    assert found.recomputed.machine != other
    assert "machine" not in found.not_compared


def test_a_run_that_did_not_note_its_machine_is_not_compared_in_it(copied, monkeypatch):
    rewrite(copied / "isolation.json", lambda record: record.pop("machines") and None)
    other = msgspec.structs.replace(machine.describe(), cpu="another")
    monkeypatch.setattr(machine, "describe", lambda: other)
    found = regrade(copied)
    assert found.differences == ()
    assert found.not_compared[-1] == "machine"


def test_the_text_of_tokens_is_not_missed_where_no_tokenizer_can_be_read(signed_run, ours):
    stored = regrading.read_report(signed_run)
    assert ours.seeds[0].worst

    def with_pieces(report):
        shown = tuple(
            msgspec.structs.replace(one, piece="x", pieces=tuple("x" for _ in one.tokens))
            for one in report.seeds[0].worst
        )
        return msgspec.structs.replace(
            report, seeds=(msgspec.structs.replace(report.seeds[0], worst=shown),)
        )

    differences, skipped = regrading.compare(stored, with_pieces(ours), machine=True)
    assert (differences, skipped[-1]) == ((), regrading.PIECES)
    assert regrading.compare(stored, ours, machine=True)[1] == regrading.ALWAYS_OTHER


# --- the data ---


def test_data_that_moved(copied, tmp_path, tiny_data):
    moved = Path(shutil.copytree(tiny_data.folder, tmp_path / "elsewhere"))
    assert regrade(copied, moved).exit_code == 0
    rewrite(copied / "run.json", setter("data_folder", value=f"/nowhere/{tiny_data.folder.name}"))
    with pytest.raises(
        DataElsewhere, match="its data are not at /nowhere/data; name their folder with"
    ):
        regrade(copied)
    assert regrade(copied, moved).exit_code == 0
    for name in ("n" * 5000, "n\0n"):
        rewrite(copied / "run.json", lambda plan, name=name: plan.update(data_folder=name))
        with pytest.raises(DataElsewhere, match="name their folder with"):
            regrade(copied)
    with pytest.raises(DataError, match=r"dataset\.json: no such file"):
        regrade(copied, tmp_path)


def test_other_data_are_refused(copied, tmp_path):
    other = tiny.tokens(tiny.VAL_TOKENS, seed=99)
    tiny.write_dataset(
        tmp_path / "other",
        train_T=other,
        val_T=other,
        vocab_size=tiny.VOCAB_SIZE,
        val_documents=[tiny.text(other)],
        token_classes_V=tiny.CLASSES_V,
        bos_id=0,
        name="tiny",
    )
    with pytest.raises(
        DataError, match="not the data of this run; name the folder that it was judged on"
    ):
        regrade(copied, tmp_path / "other")


def test_the_embedded_data_are_made_again_and_deleted(copied, tiny_data, monkeypatch):
    """The tiny data stand in for the embedded ones, which take seconds to make."""
    made = []

    def make(folder):
        made.append(folder)
        return tiny.make(folder)

    rewrite(copied / "run.json", setter("data_folder", value=f"/nowhere/{tiny_data.folder.name}"))
    pinned = {name: tiny_data.digests[name] for name in ("train", "val")}
    monkeypatch.setattr(embedded, "DIGESTS", pinned)
    monkeypatch.setattr(embedded, "embedded", make)
    assert regrade(copied).exit_code == 0
    (folder,) = made
    assert not folder.parent.exists()
    beside = copied.parent / ".data" / "synthetic-1"
    tiny.make(beside)
    assert regrade(copied).exit_code == 0
    assert len(made) == 1
    monkeypatch.setattr(embedded, "DIGESTS", {**pinned, "val": "0" * 64})
    with pytest.raises(DataElsewhere):
        regrade(copied)


# --- evidence that contradicts itself ---


def nats(folder, change):
    path = folder / "seeds/1/nats.f64"
    nats_N = np.fromfile(path, "<f8")
    path.write_bytes(np.asarray(change(nats_N), "<f8").tobytes())


def raised(nats_N):
    nats_N[7] += 1.0
    return nats_N


def exchanged(nats_N):
    """Keeps the sum: what one token loses another gets."""
    nats_N[::2] += 0.5
    nats_N[1::2] -= 0.5 * len(nats_N[::2]) / len(nats_N[1::2])
    return nats_N


def edit(name, change):
    return lambda run: rewrite(run / name, change)


def append(path: Path, text: str) -> None:
    path.parent.chmod(0o755)
    if path.exists():
        path.chmod(0o644)
    with path.open("a") as file:
        file.write(text)


SCORE, CHALLENGE = "seeds/1/score.json", "seeds/1/challenge.json"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: nats(run, raised), "seeds/1/nats.f64: not the nats that score.json sums"),
        (lambda run: nats(run, lambda n: n[:-1]), "seeds/1/nats.f64: 80000 bytes, but 10001 tokens"),
        (lambda run: nats(run, lambda n: []), "seeds/1/nats.f64: 0 bytes, but 10001 tokens"),
        (lambda run: nats(run, lambda n: n * np.nan), "seeds/1/nats.f64: not the nats that score.json"),
        (lambda run: nats(run, exchanged), "of 52 credited nats are not in nats.f64"),
        (lambda run: (run / "seeds/1/nats.f64").unlink(), "seeds/1/nats.f64: No such file or directory"),
        (edit(SCORE, setter("credited", "sum_nats", value=1.0)), "not the nats that score.json sums"),
        (edit(SCORE, setter("credited", "expected_tokens", value=9)), "of 9 tokens, but the data have 10001"),
        (edit(SCORE, setter("credited", "credited_tokens", value=9)), "80008 bytes, but 9 tokens"),
        (edit(CHALLENGE, setter("challenge", "blind", 3, "credited_nats", value=1.0)), "1 of 52 credited"),
        (edit(CHALLENGE, setter("challenge", "blind", 3, "position", value=99_999)), "1 of 52 credited"),
        (edit(CHALLENGE, setter("challenge", "blind", 3, "position", value=-1)), "1 of 52 credited"),
        (lambda run: (run / SCORE).unlink(), "52 of 52 credited nats are not in nats.f64"),
        (edit("seeds/1/artifact.json", setter("files", 0, "size_bytes", value=1)), "not that of its files"),
        (edit("seeds/1/artifact.json", setter("digest", value="0" * 64)), "not that of its files"),
        (lambda run: append(next((run / "seeds/1/sealed").rglob("*.py")), "#"), "sealed: not the files that"),
        (lambda run: append(run / "seeds/1/sealed/more", "#"), "seeds/1/sealed: not the files that"),
        (lambda run: append(run / "ruleset.toml", "\n"), "ruleset.toml: changed since the run began"),
        (lambda run: append(run / "submission/more.py", "#"), "submission: changed since the run began"),
        (lambda run: shutil.rmtree(run / "submission"), "the run folder is not whole"),
    ],
)  # fmt: skip
def test_evidence_that_contradicts_itself_gives_no_verdict(copied, change, says):
    change(copied)
    found = regrade(copied)
    assert (found.status, found.exit_code, found.recomputed) == (Status.FAIL, 1, None)
    assert says in found.message


def test_a_run_may_be_handed_on_without_its_artifacts(copied):
    sealed = copied / "seeds/1/sealed"
    sealed.chmod(0o755)
    shutil.rmtree(sealed)
    assert regrade(copied).exit_code == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda run: (run / CHALLENGE).write_text("{"),
        lambda run: (run / CHALLENGE).write_text("[" * 100_000),
        lambda run: (run / "text.json").write_text('{"text_bytes": "many"}'),
        edit(CHALLENGE, setter("challenge", "blind", 3, "blind_nats", value="low")),
        edit("text.json", setter("text_bytes", value=0)),
    ],
)
def test_evidence_that_no_judge_wrote_is_a_sentence(copied, change):
    change(copied)
    with pytest.raises(JudgeError) as caught:
        regrade(copied)
    assert str(copied) in str(caught.value)


@given(data=st.data())
@settings(max_examples=60)
def test_whatever_a_record_holds_there_is_a_verdict_or_a_sentence(signed_run, data):
    """A leaf of the evidence becomes any JSON value: never a traceback, and a PASS is never another's."""
    name = data.draw(
        st.sampled_from([SCORE, CHALLENGE, "seeds/1/train.json", "seeds/1/artifact.json", "text.json",
                         "isolation.json"])
    )  # fmt: skip
    path = signed_run / name
    before = path.read_bytes()
    record = json.loads(before)
    place, value = data.draw(st.sampled_from(list(leaves(record))))
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    other = data.draw(st.none() | st.booleans() | numbers | st.text(max_size=5) | st.just([]))
    if other == value:
        return
    setter(*place, value=other)(record)
    try:
        path.write_text(json.dumps(record))
        found = regrade(signed_run)
    except (JudgeError, UsageError):
        pass
    else:
        same = found.recomputed is not None and not found.differences
        assert found.exit_code in (0, 1, 3)
        assert (found.status is Status.PASS) == same
    finally:
        path.write_bytes(before)


def test_verdict_report_reads_what_it_always_did(signed_run):
    """The report's data folder is the one that the run began with, wherever the data are now."""
    report = regrade_of(signed_run)
    assert (
        report.data.folder
        == json.loads((signed_run / "run.json").read_text())["data_folder"].split("/")[-1]
    )
    assert verdict.EXIT_CODES[report.verdict] == report.exit_code
