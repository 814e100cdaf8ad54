"""The statistics of logged runs: known digits of published records, and which record is the one before."""

import json
import math
from dataclasses import replace

import pytest
from msgspec import structs

from checks.contract import Status
from harness.audit import baselines
from harness.audit.contest import load, read_table
from harness.audit.discovery import find_folders
from harness.audit.folder import read_folder
from harness.audit.margin import check_margin
from harness.errors import RulesetError
from tests.harness.audit.written import SCORES, SP1024, loss_of, write_record
from tests.judged import ROOT

# Sliding losses of #1302's logs, and of its n-gram scores, in bits per byte; #1307's losses.
SLIDING = {1337: 1.8759533, 42: 1.87342257, 2025: 1.87626598}
NGRAM = {1337: 1.10826554, 42: 1.1068098, 2025: 1.10846117}
SLIDING_BPB = {1337: 1.11104815, 42: 1.10954931, 2025: 1.11123334}
PR1307 = {1: 1.87679853, 2: 1.87239786, 3: 1.87233216, 4: 1.875314}


@pytest.fixture(scope="module")
def contest():
    return load()


def margin_of(contest, folder):
    record = read_folder(folder, folder.name)
    return check_margin(record, *baselines.predecessor(record, contest.rows), contest.margins)


def of_losses(tmp_path, losses, **claims):
    scores = {seed: loss / math.log(2) / SP1024 for seed, loss in losses.items()}
    logs = {seed: {"loss": loss} for seed, loss in losses.items()}
    return write_record(tmp_path / "record", scores, logs=logs, claims=claims or None)


def test_the_sliding_losses_of_1302_miss_the_margin_and_beat_zero(contest, tmp_path):
    found = margin_of(contest, of_losses(tmp_path, SLIDING))
    assert found.status is Status.FAIL
    assert found.measured == pytest.approx(0.0746, abs=5e-5)
    reading = next(
        r for r in found.evidence["by_score"] if r["score"] == "final_int6_sliding_window"
    )
    assert reading["p_one_sample"] == pytest.approx(0.0804, abs=5e-5)
    assert found.evidence["unit"] == "as logged"
    assert found.evidence["rulesets"]["parameter-golf-frontier"]["status"] == "PASS"
    assert found.evidence["seeds_needed"] > 3


def test_the_ngram_scores_of_1302_reach_it(contest, tmp_path):
    found = margin_of(
        contest, write_record(tmp_path / "record", NGRAM, logs={s: {"loss": 1.9} for s in NGRAM})
    )
    assert found.evidence["unit"] == "through bits per byte"
    assert found.measured == pytest.approx(0.004658, abs=2e-6)
    assert found.status is Status.PASS


def test_1307_against_1019(contest, tmp_path):
    found = margin_of(contest, of_losses(tmp_path, PR1307))
    assert found.evidence["p_equal"] == pytest.approx(0.0017853, abs=1e-6)
    assert found.evidence["p_margin"] == pytest.approx(0.0352, abs=5e-5)
    assert found.status is Status.FAIL


def test_the_record_before_is_the_best_with_an_earlier_date(contest, tmp_path):
    rows = contest.rows
    for date, expected in (
        ("2026-03-25", "best"),
        ("2026-04-03", "ValCalib"),
        ("2026-04-27", "SparseGate"),
    ):
        record = read_folder(write_record(tmp_path / date, claims={"date": date}), date)
        row, why = baselines.predecessor(record, rows)
        assert row is not None
        before = [other for other in rows if other.date < date]
        assert row == min(before, key=lambda other: other.mean_bpb)
        assert expected == "best" or expected in row.id
        assert f"of the {len(before)} earlier records that the table has" in why


def test_a_named_record_is_mentioned_and_chooses_nothing(contest, tmp_path):
    claims = {"date": "2026-05-01", "sota_pr": 1019}
    record = read_folder(write_record(tmp_path / "r", claims=claims), "r")
    row, why = baselines.predecessor(record, contest.rows)
    assert row == min(contest.rows, key=lambda row: row.mean_bpb)
    assert "names PR #1019, 2026-03-25_ValCalib_GPTQ_XSA_BigramHash3072, which is worse" in why
    claims = {"date": "2026-04-03", "sota_pr": 1019}
    record = read_folder(write_record(tmp_path / "s", claims=claims), "s")
    row, why = baselines.predecessor(record, contest.rows)
    assert row is not None
    assert row.pull_request == 1019
    assert why.endswith("names PR #1019, that one")
    claims = {"date": "2026-04-03", "sota_pr": 7}
    record = read_folder(write_record(tmp_path / "t", claims=claims), "t")
    assert baselines.predecessor(record, contest.rows)[1].endswith("names PR #7, not in the table")


def test_a_record_is_itself_by_name_and_scores(contest, tmp_path):
    own = contest.rows[-1]
    scores = dict(zip(own.seeds, own.val_bpb, strict=True))
    date = {"date": "2026-12-01"}
    record = read_folder(write_record(tmp_path / "a" / own.id, scores, claims=date), own.id)
    row, _ = baselines.predecessor(record, (own,))
    assert row is None
    taken = read_folder(write_record(tmp_path / "b" / own.id, claims=date), own.id)
    row, _ = baselines.predecessor(taken, (own,))
    assert row == own  # the name alone takes no record away


def test_one_run_has_no_test_and_no_date_no_predecessor(contest, tmp_path):
    alone = margin_of(contest, write_record(tmp_path / "one", {42: 1.1}))
    assert (alone.status, alone.measured) == (Status.NOT_RUN, None)
    undated = margin_of(contest, write_record(tmp_path / "undated", claims={"date": None}))
    assert undated.status is Status.NOT_RUN
    assert "no date" in undated.message


def test_a_table_made_of_records_is_read_back(contest, tmp_path):
    folders = [
        write_record(
            tmp_path / "2026-04-01_First",
            {s: b - 0.001 for s, b in SCORES.items()},
            claims={"date": "2026-04-01"},
        ),
        write_record(
            tmp_path / "2026-04-02_Far",
            {s: b + 0.1 for s, b in SCORES.items()},
            claims={"date": "2026-04-02"},
        ),
        write_record(tmp_path / "2026-04-03_Claimless", claims={"val_bpb": 1.0}),
    ]
    rows = baselines.rows_of([read_folder(f, f.name) for f in folders], contest.limits)
    assert [row.id for row in rows] == [
        "2026-04-01_First"
    ]  # the others are no record, or not what is claimed
    assert read_table(baselines.write_table(rows), "table") == tuple(rows)


@pytest.mark.parametrize(
    "text", ["", "schema = 2", "schema = 1\nx = 1", "schema = 1\n[[record]]\nid = 'a'", "\x00"]
)
def test_a_table_that_is_none_is_refused_with_its_name(text):
    with pytest.raises(RulesetError, match=r"^table\.toml: "):
        read_table(text, "table.toml")


def test_the_shipped_table_is_in_order_and_consistent(contest):
    rows = contest.rows
    assert list(rows) == sorted(rows, key=lambda row: (row.date, row.id))
    assert len({row.id for row in rows}) == len(rows) > 10
    for row in rows:
        assert len(row.val_bpb) == len(row.val_loss) == len(row.seeds)
        for bpb, loss in zip(row.val_bpb, row.val_loss, strict=True):
            assert loss / math.log(2) / bpb == pytest.approx(row.bytes_per_token, rel=2e-4)


def test_the_shipped_table_is_what_the_records_give(contest):
    records = ROOT.parent / "shared" / "records" / "main"
    if not records.is_dir():
        pytest.skip("no shared/records beside the checkout")
    read = [read_folder(folder, f"main/{folder.name}") for folder in find_folders([records])]
    rows = baselines.rows_of(read, contest.limits, contest.rows)
    assert tuple(rows) == contest.rows, "run: harness audit RECORDS --write-baselines FILE"


def test_fewer_seeds_than_the_least_decide_nothing(contest, tmp_path):
    two = {seed: SCORES[seed] for seed in (1337, 42)}
    found = margin_of(contest, write_record(tmp_path / "two", two))
    assert found.evidence["p_margin"] < 0.01
    assert found.status is Status.NOT_RUN


def test_the_non_record_track_need_not_beat_anything(contest, tmp_path):
    claims = {"track": "non_record_16mb"}
    found = margin_of(contest, write_record(tmp_path / "non", claims=claims))
    assert (found.status, found.measured) == (Status.NOT_RUN, None)
    assert "non-record track" in found.message


def test_a_difference_of_two_scores_is_none(contest, tmp_path):
    folder = write_record(tmp_path / "record")
    for log in folder.glob("*.log"):
        log.write_text(log.read_text() + "ngram:done llm_bpb=1.10000000 gain_bpb=0.00300000\n")
    names = [reading["score"] for reading in margin_of(contest, folder).evidence["by_score"]]
    assert any("llm_bpb" in name for name in names)
    assert not any("gain" in name for name in names)


def test_a_score_that_none_can_have_is_not_worked_with(contest, tmp_path):
    record = read_folder(write_record(tmp_path / "record"), "record")
    runs = tuple(
        replace(run, score=replace(run.score, val_loss=1e300)) for run in record.headline.runs
    )
    record = replace(record, headline=replace(record.headline, runs=runs))
    found = check_margin(record, contest.rows[-1], "why", contest.margins)
    assert (found.status, found.measured) == (Status.NOT_RUN, None)
    assert "a score that none can have" in found.message


def test_an_earlier_record_without_losses_is_compared_through_bytes(contest, tmp_path):
    record = read_folder(of_losses(tmp_path, SLIDING), "record")
    row, why = baselines.predecessor(record, contest.rows)
    assert check_margin(record, row, why, contest.margins).evidence["unit"] == "as logged"
    bare = structs.replace(row, val_loss=())
    found = check_margin(record, bare, why, contest.margins)
    assert found.evidence["unit"] == "through bits per byte"


def test_the_score_whose_loss_is_claimed_is_named_beside_the_headline(contest, tmp_path):
    folder = write_record(tmp_path / "record", SLIDING_BPB, claims={"val_bpb": 1.10784550})
    for seed, log in ((seed, folder / f"train_seed{seed}.log") for seed in NGRAM):
        log.write_text(log.read_text() + f"n-gram agreement val_bpb: {NGRAM[seed]:.8f}\n")
    claims = json.loads((folder / "submission.json").read_text())
    losses = [loss_of(bpb) for bpb in SLIDING_BPB.values()]
    claims |= {"val_loss": round(sum(losses) / 3, 6), "seed_results": {}}
    (folder / "submission.json").write_text(json.dumps(claims))
    found = margin_of(contest, folder)
    assert found.measured == pytest.approx(0.004658, abs=5e-6)
    assert "; of final_int6_sliding_window, whose loss is claimed, p = 0.07" in found.message
    assert "whose loss is claimed" not in margin_of(contest, write_record(tmp_path / "own")).message
