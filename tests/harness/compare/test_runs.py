"""`harness compare` over run folders: what is refused, what is said, and how it is shown."""

import io
import json
import re

import jsonschema
import msgspec
import numpy as np
import pytest
from rich.console import Console

from checks.contract import Status
from harness.compare import model, runs, schema
from harness.compare.page import headline, render_markdown, render_text
from harness.data.writing import write_dataset
from harness.errors import EXIT_PASS, UsageError
from harness.report.model import encode
from tests.harness.compare.written import nats_of, replaced, report_of, run_folder
from tests.harness.data.tiny import BOS, tiny_dataset
from tests.harness.report import samples
from tests.judged import ROOT

SEEDS = (1, 2, 3)
ACTING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset(
        tmp_path_factory.mktemp("tiny") / "data", train_tokens=500, val_tokens=2_000
    )


@pytest.fixture
def pair(dataset, tmp_path):
    """Two runs on one text; B is better by 0.1 in the first document's tokens alone."""
    a = {seed: nats_of(dataset, seed) for seed in SEEDS}
    b = {seed: nats_N.copy() for seed, nats_N in a.items()}
    second = np.flatnonzero(dataset.val.load_tokens() == BOS)[1]
    for seed in SEEDS:
        b[seed][:second] -= 0.1 + seed * 0.001
    return (
        run_folder(tmp_path / "a", dataset, a),
        run_folder(tmp_path / "b", dataset, b),
        int(second),
    )


def text_of(found):
    return render_text(found, Console(file=io.StringIO(), width=100))


def changed(folder, **more):
    report = msgspec.json.decode(
        (folder / "report.json").read_bytes(), type=type(samples.passing())
    )
    (folder / "report.json").write_bytes(encode(replaced(report, **more)))


# What it says.


def test_two_runs_are_compared_seed_by_seed_and_document_by_document(pair, dataset):
    a, b, first_tokens = pair
    found = runs.compare(a, b)
    share = first_tokens / dataset.val.tokens
    assert found.score.difference == pytest.approx(-0.102 * share)
    assert (found.score.test, found.score.df) == ("paired t", 2)
    assert found.documents.difference == pytest.approx(found.score.difference)
    assert found.documents.documents == dataset.val.documents
    assert (found.documents.better, found.documents.worse) == (1, 0)
    (gain,) = found.documents.gains
    assert (gain.number, gain.first, gain.tokens) == (1, 0, first_tokens)
    assert gain.difference_nats == pytest.approx(-0.102 * first_tokens)
    assert found.score.bits_per_byte_difference == pytest.approx(
        found.score.b.bits_per_byte_mean - found.score.a.bits_per_byte_mean
    )


def test_documents_are_found_across_shards(dataset, tmp_path):
    tokens_T = dataset.val.load_tokens()
    shards = write_dataset(
        tmp_path / "shards",
        train_T=[2, 3],
        val_T=tokens_T,
        vocab_size=dataset.vocab_size,
        val_text_bytes=dataset.text.text_bytes,
        bos_id=BOS,
        shard_tokens=300,
    )
    assert len(shards.val.shards) == 7
    nats = nats_of(shards, 1)
    last = int(np.flatnonzero(tokens_T == BOS)[-1])
    lower = nats - 0.1 * (np.arange(len(nats)) >= last)
    a = run_folder(tmp_path / "a", shards, {1: nats, 2: nats})
    b = run_folder(tmp_path / "b", shards, {1: lower, 2: lower})
    (gain,) = runs.compare(a, b).documents.gains
    assert (gain.number, gain.first) == (dataset.val.documents, last)


def test_reports_alone_are_compared_without_documents(pair):
    a, b, _ = pair
    found = runs.compare(a / "report.json", b / "report.json")
    assert found.score.paired
    assert found.documents is None
    assert found.documents_note == "A is a report without its run folder, where the nats are"
    assert "Not by document: A is a report" in text_of(found)


def test_seeds_that_only_one_has_are_left_out_and_named(dataset, tmp_path):
    nats = {seed: nats_of(dataset, seed) for seed in range(4)}
    a = run_folder(tmp_path / "a", dataset, {seed: nats[seed] for seed in (0, 1, 2)})
    b = run_folder(tmp_path / "b", dataset, {seed: nats[seed] + 0.1 for seed in (2, 1, 3)})
    found = runs.compare(a, b)
    assert (found.score.a.seeds, found.score.left_out_a, found.score.left_out_b) == (
        (1, 2),
        (0,),
        (3,),
    )
    assert found.score.difference == pytest.approx(0.1)
    assert found.documents.seeds_a == (1, 2)
    assert found.documents.difference == pytest.approx(0.1)
    text = " ".join(text_of(found).split())
    for label, seed in (("A", 0), ("B", 3)):
        assert f"Left out of {label}, not in the other: seed {seed}." in text
    assert headline(found) == (
        "B is 0.100000 nats/token worse than A: paired over 2 seeds, no interval "
        "(the seeds' differences are identical: no noise to test against)"
    )


def test_different_seeds_are_compared_by_their_means(dataset, tmp_path):
    a = run_folder(tmp_path / "a", dataset, {s: nats_of(dataset, s) for s in (1, 2)})
    b = run_folder(tmp_path / "b", dataset, {s: nats_of(dataset, s, level=1.9) for s in (3, 4, 5)})
    found = runs.compare(a, b)
    assert found.score.test == "Welch"
    assert "means of 2 and 3 seeds" in headline(found)
    assert found.documents.difference == pytest.approx(found.score.difference)
    assert "not paired" in text_of(found)


def test_another_tokenizer_on_the_same_text_is_compared_per_byte(dataset, tmp_path):
    nats_a, nats_b = ({s: nats_of(dataset, s) for s in SEEDS} for _ in range(2))
    a = run_folder(tmp_path / "a", dataset, nats_a)
    half = report_of(dataset, {s: n[: len(n) // 2] * 2 for s, n in nats_b.items()})
    facts = replaced(half.data, val_sha256="0" * 64, val_tokens=dataset.val.tokens // 2)
    (tmp_path / "b.json").write_bytes(encode(replaced(half, data=facts)))
    found = runs.compare(a, tmp_path / "b.json")
    assert found.score.unit == "nats/byte"
    sums = [float(nats_b[s][: dataset.val.tokens // 2].sum()) * 2 for s in SEEDS]
    expected = [x / dataset.text.text_bytes for x in sums]
    assert found.score.b.nats == pytest.approx(expected)
    assert found.documents_note == "the two runs scored different streams of tokens"
    assert any("compared per byte" in note for note in found.notes)


def test_what_differs_beside_the_score(pair):
    a, b, _ = pair
    report = samples.passing()
    findings = tuple(
        replace_status(f, Status.ERROR) if f.id == "norm.sum" else f
        for f in report.findings
        if f.id != "repro.score"
    )
    guarantees = (replaced(report.guarantees[1], state="enforced"), *report.guarantees[2:])
    machine = replaced(
        report.machine, cores=8, gpus=(), packages={"torch": "2.14.0", "numpy": "2.4.6"}
    )
    changed(b, findings=findings, guarantees=guarantees, machine=machine)
    found = runs.compare(a, b)
    assert [(c.name, c.a, c.b) for c in found.findings] == [
        ("norm.sum", "PASS", "ERROR"),
        ("repro.score", "PASS", None),
    ]
    assert [(c.name, c.a, c.b) for c in found.guarantees] == [
        ("tree-dies", "enforced", None),
        ("no-network", "not enforced", "enforced"),
    ]
    assert {c.name: (c.a, c.b) for c in found.machine} == {
        "cores": ("208", "8"),
        "GPUs": (", ".join(report.machine.gpus), "none"),
        "package torch": ("2.13.0", "2.14.0"),
        "package brotli": ("1.2.1", None),
    }
    assert found.figures[0].name == "artifact"
    assert [f.name for f in found.figures[1:]] == [p.phase for p in report.seeds[0].phases]


def replace_status(finding, status):
    import dataclasses

    return dataclasses.replace(finding, status=status)


def test_notes_say_what_to_know_first(pair):
    a, b, _ = pair
    report = samples.passing()
    changed(
        b,
        run_id="another",
        verdict=Status.FAIL,
        verdict_message="broken: norm.sum",
        ruleset=replaced(report.ruleset, sha256="99" * 32, name="frontier"),
        harness_version="0.2.0",
        data=replaced(runs.sides.read("B", b).report.data, train_sha256="11" * 32),
    )
    notes = runs.compare(a, b).notes
    assert notes == (
        "B is FAIL (broken: norm.sum): its score is not one that the judge vouches for",
        "A and B are the same submission, file by file: what differs is noise, data or machine",
        "judged under different rulesets: parameter-golf 1 (3f3f3f3f3f3f) and frontier 1 (999999999999)",
        "judged by different versions: 0.1.0 and 0.2.0",
        "trained on different data: the digests of the train shards differ",
    )
    assert runs.compare(a, a).notes == ("A and B are the same run",)


def test_a_run_without_a_score_is_compared_by_the_rest(pair, tmp_path):
    a, _, _ = pair
    died = samples.died()
    facts = runs.sides.read("A", a).report.data
    (tmp_path / "died.json").write_bytes(encode(replaced(died, data=facts)))
    found = runs.compare(a, tmp_path / "died.json")
    assert (found.score, found.documents) == (None, None)
    assert headline(found) == "B has no score, so there is no difference"
    assert "B: 1 seed of 1 has no score" in found.notes
    assert found.findings


# What the documents need.


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda a: (a / "seeds/2/nats.f64").unlink(), "nats.f64 of seed 2 of A is not there"),
        (
            lambda a: (a / "seeds/2/nats.f64").write_bytes(b"\0" * 8),
            "nats.f64 of seed 2 of A does not hold 2,000 tokens",
        ),
        (
            lambda a: np.full(2_000, 2.5).tofile(a / "seeds/2/nats.f64"),
            "nats.f64 of seed 2 of A is not what the report credits",
        ),
        (
            lambda a: np.full(2_000, np.nan).tofile(a / "seeds/2/nats.f64"),
            "nats.f64 of seed 2 of A is not what the report credits",
        ),
        (
            lambda a: np.full(2_000, 1.7e308).tofile(a / "seeds/2/nats.f64"),
            "nats.f64 of seed 2 of A is not what the report credits",
        ),
    ],
)
def test_nats_that_are_not_the_credited_ones_are_not_compared(pair, spoil, why):
    a, b, _ = pair
    spoil(a)
    found = runs.compare(a, b)
    assert found.documents is None
    assert found.documents_note == why
    assert found.score.paired


def test_data_that_have_moved_can_be_named(pair, dataset, tmp_path):
    a, b, _ = pair
    for folder in (a, b):
        (folder / "run.json").write_text(json.dumps({"data_folder": str(tmp_path / "gone")}))
    found = runs.compare(a, b)
    assert found.documents_note.startswith("the data folder gone is not there")
    assert runs.compare(a, b, data=dataset.folder).documents.documents == dataset.val.documents
    (a / "run.json").unlink()
    (b / "run.json").write_text("{")
    assert "no run.json says where" in runs.compare(a, b).documents_note


def test_other_data_are_refused_where_they_were_named(pair, tmp_path):
    a, b, _ = pair
    other = tiny_dataset(tmp_path / "other", train_tokens=500, val_tokens=2_000, seed=1)
    with pytest.raises(UsageError, match="holds another validation stream; leave it out"):
        runs.compare(a, b, data=other.folder)
    with pytest.raises(UsageError, match="is not there or cannot be read"):
        runs.compare(a, b, data=tmp_path / "nowhere")


# What is refused.


def test_two_texts_are_not_comparable(pair, dataset):
    a, b, _ = pair
    facts = runs.sides.read("B", b).report.data
    changed(b, data=replaced(facts, val_text_sha256="ab" * 32))
    with pytest.raises(UsageError) as refused:
        runs.compare(a, b)
    own = dataset.val.text_sha256[:12]
    assert f"not comparable, scored on two texts (val_text_sha256 {own} and abababababab)" in str(
        refused.value
    )
    changed(b, data=replaced(facts, val_text_sha256=None, val_sha256="cd" * 32))
    with pytest.raises(UsageError, match=r"two streams of tokens .* and cdcdcdcdcdcd"):
        runs.compare(a, b)
    changed(b, data=replaced(facts, val_text_sha256=None))
    assert runs.compare(a, b).score.unit == "nats/token"


def test_two_counts_of_one_text_are_not_comparable(pair):
    a, b, _ = pair
    report = runs.sides.read("B", b).report
    seeds = tuple(replaced(seed, bytes=seed.bytes + 1) for seed in report.seeds)
    changed(
        b, seeds=seeds, data=replaced(report.data, val_text_bytes=report.data.val_text_bytes + 1)
    )
    with pytest.raises(UsageError, match=r"they count one text as .*look at score\.bytes"):
        runs.compare(a, b)


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"nats_per_token": -0.5}, "-0.5 nats per token, which is no score"),
        ({"nats_per_token": 1e300}, "1e[+]300 nats per token, which is no score"),
        ({"tokens": 0}, "0 tokens and"),
        ({"tokens": 7}, "was not scored on the whole text"),
        ({"seed": 3}, "seed 3 is in it twice"),
    ],
)
def test_a_report_of_what_cannot_be_is_refused(pair, spoilt, why):
    a, b, _ = pair
    first, *others = runs.sides.read("B", b).report.seeds
    changed(b, seeds=(replaced(first, **spoilt), *others))
    with pytest.raises(UsageError, match=f"report.json: .*{why}"):
        runs.compare(a, b)


def test_what_is_no_run_is_refused(desk, pair, tmp_path):
    a, _, _ = pair
    (tmp_path / "empty").mkdir()
    assert "no report.json in there" in desk.refuses("compare", a, tmp_path / "empty")
    assert "no such file" in desk.refuses("compare", a, tmp_path / "nowhere")
    newer = json.loads((a / "report.json").read_text()) | {"schema_version": "9.0"}
    (tmp_path / "newer.json").write_text(json.dumps(newer))
    assert "schema 9.0 is newer" in desk.refuses("compare", a, tmp_path / "newer.json")
    (tmp_path / "odd.json").write_bytes(b"\xff")
    desk.refuses("compare", tmp_path / "odd.json", a)


# How it is shown.


def test_the_command_prints_one_comparison_three_ways(desk, pair):
    a, b, _ = pair
    status, out, err = desk("compare", a, b)
    assert (status, err) == (EXIT_PASS, "")
    found = runs.compare(a, b)
    assert out == text_of(found)
    assert desk("compare", a, b, "--format", "markdown")[1] == render_markdown(found)
    told = [desk("compare", a, b, *how)[1] for how in (["--json"], ["--format", "json"])]
    assert told[0] == told[1] == model.encode(found).decode()


def test_json_is_what_the_schema_says_and_holds_no_nan(pair):
    a, b, _ = pair
    check = jsonschema.Draft202012Validator(json.loads(schema.text()))

    def refuse(word):
        raise AssertionError(word)

    for one, other in ((a, b), (b, a), (a, a), (a / "report.json", b)):
        data = model.encode(runs.compare(one, other))
        check.validate(json.loads(data, parse_constant=refuse))
        assert msgspec.json.decode(data, type=model.Comparison) == runs.compare(one, other)


def test_the_published_schema_is_current():
    path = ROOT / "docs" / "schema" / "compare-1.json"
    assert path.read_text("utf-8") == schema.text(), (
        "run: python -m harness.compare.schema > docs/schema/compare-1.json"
    )


def test_hostile_words_are_shown_and_do_nothing(dataset, tmp_path):
    hostile = samples.failing()
    no_surrogates = tuple(text.replace("\ud800", "?") for text in samples.HOSTILE)
    words = {
        "submission": replaced(
            hostile.submission,
            name=no_surrogates[0] + no_surrogates[1],
            authors=no_surrogates,
            summary="",
            digest=no_surrogates[2],
        ),
        "run_id": no_surrogates[6],
        "created_utc": no_surrogates[4],
        "verdict": Status.FAIL,
        "verdict_message": no_surrogates[3] + "|`a`| @everyone",
        "machine": replaced(
            hostile.machine, gpus=no_surrogates, packages={t: t for t in no_surrogates}
        ),
        "ruleset": replaced(samples.passing().ruleset, name=no_surrogates[5]),
    }
    nats = {1: nats_of(dataset, 1), 2: nats_of(dataset, 2)}
    bad = run_folder(tmp_path / "bad", dataset, nats, **words)
    good = run_folder(tmp_path / "good", dataset, nats)
    found = runs.compare(good, bad)
    text, page = text_of(found), render_markdown(found)
    assert not ACTING.search(text)
    assert not ACTING.search(page)
    assert r"\x1b[31mred" in text
    assert "<script>" not in page
    assert "::error" not in text
    for row in page.splitlines():
        if row.startswith("| submission"):
            assert len(re.findall(r"(?<!\\)\|", row)) == 4


def test_text_fits_a_pipe_that_cannot_write_every_letter(pair):
    a, b, _ = pair
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    text = render_text(runs.compare(a, b), Console(file=out, width=40))
    text.encode("ascii")
    assert max(map(len, text.splitlines())) <= 160
