"""What is ranked, in which order, and why the rest is not."""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Status
from harness.board.model import LeftOut
from harness.board.rows import board, ruleset_of
from harness.errors import RulesetError, UsageError
from tests.harness.board.made import FRONTIER, KEY, RULES, replaced, run, with_rules
from tests.harness.report import samples

GOOD = (1.8691, 1.8683, 1.8700)
TEXT = samples.passing().data.val_text_sha256


def made(runs, refused=(), rules=RULES, **more):
    return board(runs, refused, rules, [KEY], **more)


def ranked(found):
    return [(entry.rank, entry.name) for entry in found.entries]


def reasons(found):
    return {each.place.removeprefix("runs/"): each.reason for each in found.left_out}


# Properties.

NATS = st.integers(186_000, 187_000).map(lambda grid: grid / 1e5)
RUNS = st.lists(
    st.builds(
        lambda nats, day, digest, verdict, rules: {
            "nats": tuple(nats), "day": day, "digest": f"{digest:064x}", "verdict": verdict, "rules": rules
        },
        st.lists(NATS, min_size=1, max_size=3),
        st.integers(1, 4),
        st.integers(1, 5),
        st.sampled_from([Status.PASS] * 3 + [Status.FAIL, Status.NOT_RUN]),
        st.sampled_from([RULES] * 3 + [FRONTIER]),
    ),
    max_size=7,
).map(lambda facts: [run(f"r{index}", **fact) for index, fact in enumerate(facts)])  # fmt: skip


@settings(max_examples=40)
@given(RUNS, st.integers(0, 99))
def test_every_run_is_in_one_place_and_the_order_of_reading_does_not_matter(runs, seed):
    found = made(runs)
    places = [f"runs/{entry.name}" for entry in found.entries] + [o.place for o in found.left_out]
    assert sorted(places) == sorted(r.place for r in runs)
    shuffled = random.Random(seed).sample(runs, len(runs))
    assert made(shuffled) == found


@settings(max_examples=40)
@given(RUNS)
def test_entries_stand_by_score_then_by_date(runs):
    found = made(runs)
    keys = [(entry.nats_per_token_mean, entry.created_utc) for entry in found.entries]
    assert keys == sorted(keys)
    assert [entry.rank for entry in found.entries] == list(range(1, len(keys) + 1))
    by_place = {r.place: r.report for r in runs}
    for entry in found.entries:
        report = by_place[f"runs/{entry.name}"]
        assert report.verdict is Status.PASS
        assert report.ruleset.sha256 == RULES.sha256
    digests = [entry.submission_digest for entry in found.entries]
    assert len(set(digests)) == len(digests)


@settings(max_examples=40)
@given(RUNS)
def test_a_submission_counts_by_its_earliest_run_that_passed(runs):
    found = made(runs)
    for entry in found.entries:
        same = [
            r.report.created_utc
            for r in runs
            if r.report.submission.digest == entry.submission_digest
            and r.report.verdict is Status.PASS
            and r.report.ruleset.sha256 == RULES.sha256
        ]
        assert entry.created_utc == min(same)


# Who is left out.


def test_each_reason_is_said():
    passing = samples.passing()
    other_text = replaced(passing.data, val_text_sha256="ab" * 32)
    runs = [
        run("good", GOOD),
        run("failed", GOOD, verdict=Status.FAIL, verdict_message="broken: norm.sum"),
        run("undecided", GOOD, verdict=Status.NOT_RUN, verdict_message="undecided: stats.margin"),
        run("other rules", GOOD, rules=FRONTIER),
        run("other text", GOOD, data=other_text),
        run("again", GOOD, day=2, digest=run("good", GOOD).report.submission.digest),
        run("undated", GOOD, created_utc="yesterday"),
    ]
    refused = [LeftOut(place="runs/forged", name=None, run_id=None, reason="not verified: x")]
    found = made(runs, refused, text=TEXT)
    assert ranked(found) == [(1, "good")]
    assert reasons(found) == {
        "failed": "FAIL: broken: norm.sum",
        "undecided": "NOT-RUN: undecided: stats.margin",
        "other rules": f"judged under another ruleset, parameter-golf-frontier 1 ({FRONTIER.sha256[:12]})",
        "other text": "scored on another text (abababababab)",
        "again": "the same submission, file by file, as the earlier runs/good",
        "undated": "its date is none",
        "forged": "not verified: x",
    }


def test_a_run_given_twice_is_one():
    twin = run("good", GOOD, place="copy/good")
    assert reasons(made([run("good", GOOD), twin])) == {"good": "the same run as copy/good"}


def test_a_ruleset_that_names_its_data_holds_runs_to_it():
    rules = with_rules(data={"val_text_sha256": TEXT, "train_text_sha256": "77" * 32})
    trained = dataclasses.replace(run("elsewhere", GOOD), train_text_sha256="12" * 32)
    unknown = dataclasses.replace(run("unknown", GOOD), train_text_sha256=None)
    found = made([run("good", GOOD), trained, unknown], rules=rules, text="ab" * 32)
    assert ranked(found) == [(1, "good")]
    assert found.text_sha256 == TEXT
    assert reasons(found) == {
        "elsewhere": "trained on other data (121212121212)",
        "unknown": "trained on other data (digest unknown)",
    }


def test_several_texts_are_refused_unless_one_is_named():
    other = replaced(samples.passing().data, val_text_sha256="ab" * 32)
    runs = [run("one", GOOD), run("two", GOOD, data=other)]
    with pytest.raises(UsageError, match=r"scored on 2 texts \(929292929292, abababababab\)"):
        made(runs)
    assert ranked(made(runs, text="ab" * 32)) == [(1, "two")]
    nameless = replaced(other, val_text_sha256=None, val_sha256="cd" * 32)
    assert made([run("three", GOOD, data=nameless)]).text_sha256 == "cd" * 32


def test_a_board_of_nothing_is_one():
    found = made([], [LeftOut(place="x", name=None, run_id=None, reason="r")])
    assert (found.entries, found.bar, found.bytes_per_token, found.text_sha256) == (
        (),
        None,
        None,
        None,
    )


# Scores.


def test_equal_scores_stand_by_date():
    found = made([run("a, late", GOOD, day=3), run("b, early", GOOD, day=2)])
    assert ranked(found) == [(1, "b, early"), (2, "a, late")]


def test_the_latest_is_no_record_for_being_listed_first():
    lower = tuple(x - 0.1 for x in GOOD)
    found = made([run("late", GOOD, day=3), run("early", lower, day=2)])
    assert [(e.name, e.record, e.against) for e in found.entries] == [
        ("early", True, None),
        ("late", False, "early"),
    ]


def test_another_tokenizer_is_ranked_through_bytes():
    own_rate = samples.passing().data.val_text_bytes / samples.passing().data.val_tokens
    per_byte = [x / own_rate for x in GOOD]
    fewer = run("fewer tokens", [x * 7.0 for x in per_byte], day=2, rate=7.0)
    found = made([run("good", GOOD), fewer])
    first, second = found.entries
    assert second.nats_per_token_mean == pytest.approx(first.nats_per_token_mean, rel=1e-6)
    assert found.bytes_per_token == own_rate


def test_the_bar_is_the_ruleset_s_baseline_where_it_was_measured_on_this_text():
    assert made([run("good", GOOD)]).bar is None
    # PR #1019 has no digest of its text: its tokenizer and its number of tokens stand for it.
    data = replaced(
        samples.passing().data,
        tokenizer_sha256=RULES.ruleset.data.tokenizer_sha256,
        val_tokens=62_021_846,
    )
    found = made([run("good", GOOD, rate=2.43592, data=data)])
    assert found.bar.name == "PR #1019"
    assert found.bytes_per_token == 2.43592
    (entry,) = found.entries
    assert (entry.record, entry.against) == (True, "PR #1019")
    assert entry.p < 0.01
    assert entry.notes == ("judged against a baseline of its own, pr1019",)


def test_figures_of_an_entry():
    (entry,) = made([run("good", GOOD)]).entries
    assert entry.nats_per_token_mean == pytest.approx(sum(GOOD) / 3)
    assert entry.interval[0] < entry.nats_per_token_mean < entry.interval[1]
    assert entry.seeds == (1, 2, 3)
    assert entry.signed_by == (KEY,)
    assert entry.artifact_bytes == samples.passing().seeds[0].artifact_bytes


# Whose board it is.


def test_the_ruleset_is_that_of_the_runs_if_they_have_one():
    assert ruleset_of([run("a", GOOD), run("b", GOOD)], None).sha256 == RULES.sha256
    assert ruleset_of([], "smoke").ruleset.name == "smoke"
    with pytest.raises(UsageError, match=r"judged under 2 rulesets, .*give --ruleset"):
        ruleset_of([run("a", GOOD), run("b", GOOD, rules=FRONTIER)], None)
    with pytest.raises(UsageError, match="no run verifies"):
        ruleset_of([], None)
    unknown = replaced(RULES, sha256="00" * 32)
    with pytest.raises(UsageError, match="is not one that is shipped; give its file"):
        ruleset_of([run("a", GOOD, rules=unknown)], None)
    with pytest.raises(RulesetError, match="no ruleset 'nonsense'"):
        ruleset_of([], "nonsense")
