"""Which runs a claim is found to be made of: whole groups of one score, never a mixture."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.published import Claims, Headline, Log, mean
from harness.audit import headline
from harness.audit.claimed import read_claims
from harness.audit.headline import find_headline
from harness.audit.json_lines import read_json
from harness.audit.log import read_log
from harness.audit.text import LogText


def claims(**tree: Any) -> Claims:
    return read_claims("submission.json", read_json(json.dumps(tree).encode()))


def log(name: str, *lines: str) -> Log:
    data = "\n".join(lines).encode()
    (one,) = read_log(name, LogText(data, "utf-8", len(data), sha256=f"{name}{lines}"))
    return one


def final(bpb: float, loss: float = 1.8, name: str = "final") -> str:
    return f"{name} val_loss:{loss:.6f} val_bpb:{bpb:.6f}"


def found(result: Headline) -> list[tuple[int | None, float]]:
    return [(run.seed, run.score.val_bpb) for run in result.runs]


BPBS = st.lists(
    st.integers(1_000_000, 1_400_000).map(lambda n: n / 1e6), min_size=2, max_size=4, unique=True
)


@given(bpbs=BPBS, data=st.data())
def test_the_mean_of_a_score_that_every_log_states_is_found(
    bpbs: list[float], data: st.DataObject
) -> None:
    """Another score of the same logs is 0.5 away, before or after it, and no mixture of both is taken."""
    logs = []
    for seed, bpb in enumerate(bpbs):
        lines = [final(bpb), final(bpb + 0.5, name="roundtrip")]
        if data.draw(st.booleans()):
            lines.reverse()
        logs.append(log(f"train_seed{seed}.log", f"seed:{seed}", *lines))
    data.draw(st.randoms(use_true_random=False)).shuffle(logs)
    claim = claims(val_bpb=round(sum(bpbs) / len(bpbs), 5))
    result = find_headline(claim, logs)
    assert (result.name, result.rule, result.reproduces) == ("final", headline.OF_ALL, True)
    assert sorted(found(result)) == sorted(enumerate(bpbs))


@given(bpbs=BPBS, offset=st.sampled_from([-0.4, -0.01, 0.01, 0.4]))
def test_what_no_group_gives_is_not_reproduced(bpbs: list[float], offset: float) -> None:
    logs = [log(f"seed{s}.log", f"seed:{s}", final(b)) for s, b in enumerate(bpbs)]
    value = sum(bpbs) / len(bpbs) + offset
    result = find_headline(claims(val_bpb=round(value, 7)), logs)
    if result.reproduces:
        got = mean([run.score.val_bpb for run in result.runs])
        assert got is not None
        assert abs(got - value) < 1e-4
    else:
        assert result.rule == headline.MISSED
        assert sorted(found(result)) == sorted(enumerate(bpbs))


def test_the_claimed_seeds_are_looked_for_each() -> None:
    logs = [log(f"t{s}.log", f"seed:{s}", final(b)) for s, b in ((1, 1.1), (2, 1.2), (3, 1.5))]
    claim = claims(val_bpb=1.15, seed_results={"1": {"val_bpb": 1.1}, "2": {"val_bpb": 1.2}})
    result = find_headline(claim, logs)
    assert (result.rule, found(result)) == (headline.OF_SEEDS, [(1, 1.1), (2, 1.2)])


def test_the_score_of_a_seed_finds_its_log_where_no_log_says_which_it_is() -> None:
    logs = [log(f"{name}.log", final(b)) for name, b in (("a", 1.11), ("b", 1.22), ("c", 1.55))]
    claim = claims(val_bpb=1.165, seed_results={"1": {"val_bpb": 1.11}, "2": {"val_bpb": 1.22}})
    result = find_headline(claim, logs)
    assert (result.rule, found(result)) == (headline.OF_SEEDS, [(None, 1.11), (None, 1.22)])


def test_a_list_of_seeds_chooses_among_more_logs() -> None:
    logs = [log(f"t{s}.log", f"seed:{s}", final(b)) for s, b in ((1, 1.1), (2, 1.2), (3, 1.5))]
    result = find_headline(claims(val_bpb=1.15, seeds=[1, 2]), logs)
    assert (result.rule, found(result)) == (headline.OF_SEEDS, [(1, 1.1), (2, 1.2)])


@pytest.mark.parametrize(
    ("value", "rule"),
    [(1.1001, headline.BEST), (1.2003, headline.ONE), (1.1502, headline.OF_ALL)],
)
def test_one_of_several_logs_is_called_so(value: float, rule: str) -> None:
    logs = [log(f"t{s}.log", f"seed:{s}", final(b)) for s, b in ((1, 1.1001), (2, 1.2003))]
    assert find_headline(claims(val_bpb=value), logs).rule == rule


def test_a_group_of_logs_may_be_claimed_alone() -> None:
    logs = [
        log(f"{kind}_seed{s}.log", f"seed:{s}", final(b))
        for kind, base in (("old", 1.3), ("new", 1.1))
        for s, b in ((1, base), (2, base + 0.02))
    ]
    result = find_headline(claims(val_bpb=1.11), logs)
    assert (result.rule, found(result)) == (headline.OF_GROUP, [(1, 1.1), (2, 1.12)])


def test_a_training_and_its_evaluation_are_one_run() -> None:
    logs = [
        log(
            "train.log", "seed:1", "stopping_early: x train_time:9ms", final(1.2, name="roundtrip")
        ),
        log("eval.log", "seed:1", final(1.1)),
    ]
    assert find_headline(claims(val_bpb=1.1), logs).rule == headline.SINGLE


def test_a_score_of_the_artifact_goes_before_one_from_before_quantising() -> None:
    one = log("t.log", final(1.1, name="pre-quantization"), final(1.1))
    assert find_headline(claims(val_bpb=1.1), [one]).name == "final"
    reversed_ = log("t.log", final(1.1), final(1.1, name="pre-quantization"))
    assert find_headline(claims(val_bpb=1.1), [reversed_]).name == "final"


def test_copies_of_a_log_count_once_under_the_name_with_a_seed() -> None:
    data = f"{final(1.1)}\n".encode()
    text = LogText(data, "utf-8", len(data), sha256="same")
    logs = [*read_log("train.log", text), *read_log("train_seed7.log", text)]
    result = find_headline(claims(val_bpb=1.1), logs)
    assert [run.log.name for run in result.runs] == ["train_seed7.log"]


def test_what_differs_under_one_name_is_shown_beside_it() -> None:
    one = log("t.log", final(1.1), final(1.2), final(1.3))
    result = find_headline(claims(val_bpb=1.2), [one])
    assert [score.val_bpb for score in result.runs[0].others] == [1.1, 1.3]
    many = log("t.log", *(final(1.1 + n / 1000) for n in range(200)))
    result = find_headline(claims(val_bpb=1.1), [many])
    assert len(result.runs[0].others) <= headline.MAX_OTHERS


def test_loss_and_time_come_from_the_line_that_states_the_same_score() -> None:
    one = log(
        "t.log", "summary val_bpb: 1.081234", "final val_loss:1.8 val_bpb:1.0812 eval_time:7ms"
    )
    run = find_headline(claims(val_bpb=1.081234), [one]).runs[0]
    assert (run.score.val_loss, run.score.eval_ms) == (1.8, 7.0)


@pytest.mark.parametrize(
    ("claim", "rule", "reproduces"),
    [
        (None, headline.UNCLAIMED, None),
        ({"val_bpb": 3.0}, headline.MISSED, False),
        ({"name": "no score"}, headline.NOTHING.rule, None),
    ],
)
def test_without_a_claim_that_holds_the_last_score_in_common_stands(
    claim: dict[str, Any] | None, rule: str, reproduces: bool | None
) -> None:
    logs = [
        log("a.log", "seed:1", final(1.3), final(1.2, name="slide"), final(1.0, name="diagnostic")),
        log("b.log", "seed:2", final(1.4), final(1.25, name="slide"), final(1.1, name="only here")),
    ]
    result = find_headline(None if claim is None else claims(**claim), logs)
    assert (result.rule, result.reproduces) == (rule, reproduces)
    if rule != headline.NOTHING.rule:
        assert found(result) == [(1, 1.2), (2, 1.25)]


def test_a_mended_file_claims_nothing() -> None:
    mended = read_claims("submission.json", read_json(b'{"val_bpb": 1.1,}'))
    assert find_headline(mended, [log("t.log", final(1.1))]).rule == headline.UNCLAIMED


@pytest.mark.parametrize(
    "logs", [[], [log("t.log", "nothing")], [log("t.log", "step:1/2 val_loss:2 val_bpb:1.1")]]
)
def test_without_a_score_there_is_no_headline(logs: list[Log]) -> None:
    result = find_headline(claims(val_bpb=1.1), logs)
    assert (result.rule, result.runs) == (headline.NOTHING.rule, ())


def test_a_final_score_within_the_slack_of_the_claim_goes_before_an_equal_one_from_before() -> None:
    """The scores from before quantising are the claimed ones of each seed, to the last digit."""
    logs = [
        log(f"seed{s}.log", f"seed:{s}", final(b, name="pre-quant post_ema"), final(b + 0.00004))
        for s, b in ((1, 1.1), (2, 1.2))
    ]
    claim = claims(
        val_bpb=1.1500, seed_results={"1": {"val_bpb": 1.1}, "2": {"val_bpb": 1.2000001}}
    )
    result = find_headline(replace(claim, bpb_digits=4), logs)
    assert (result.name, result.reproduces) == ("final", True)


def test_a_single_final_score_is_no_better_than_all_logs_before_quantising() -> None:
    logs = [
        log(f"seed{s}.log", f"seed:{s}", final(b, name="pre-quant"), final(b + 0.05))
        for s, b in ((1, 1.1), (2, 1.2))
    ]
    result = find_headline(claims(val_bpb=1.15001), logs)
    assert (result.name, result.rule) == ("pre-quant", headline.OF_ALL)
