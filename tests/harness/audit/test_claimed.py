"""Claims of a submission.json, under any of the keys that people give them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.published import Claims
from harness.audit.claimed import read_claims
from harness.audit.claimed_seeds import MAX_SEEDS
from harness.audit.json_lines import read_json

BPB = st.integers(3_000, 40_000).map(lambda n: n / 10_000)
SEEDS = st.lists(st.integers(0, 99_999), min_size=2, max_size=5, unique=True)


def claimed(tree: Any) -> Claims:
    text = tree if isinstance(tree, str) else json.dumps(tree, indent=1)
    return read_claims("submission.json", read_json(text.encode()))


def both(claims: Claims) -> dict[int, tuple[float | None, int | None]]:
    return {
        c.seed: (
            c.val_bpb.value if c.val_bpb else None,
            c.artifact_bytes.value if c.artifact_bytes else None,
        )
        for c in claims.per_seed
    }


@given(
    tree=st.dictionaries(
        st.sampled_from(
            "val_bpb val_loss seeds seed_results seed_42 42 bytes_total std mean runs eval_time_s".split()
        )
        | st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["42", "seed", "val_bpb", "mean", "bpb", "bytes", "steps", "train_ms"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=10,
        ),
        max_size=6,
    )
)
def test_any_object_is_read(tree: dict[str, Any]) -> None:
    claims = claimed(tree)
    for found in (
        claims.val_bpb,
        claims.val_loss,
        claims.bytes_total,
        claims.std_bpb,
        claims.steps,
    ):
        assert all(value.line > 0 and value.file == "submission.json" for value in found.values)
    if claims.val_bpb.value is not None:
        assert 0.05 <= claims.val_bpb.value <= 20
    assert all(isinstance(seed, int) and seed >= 0 for seed in claims.seeds)


STYLES = {
    "table": lambda seeds, rows: {
        "seed_results": {str(s): r for s, r in zip(seeds, rows, strict=True)}
    },
    "keys": lambda seeds, rows: {f"seed_{s}": r for s, r in zip(seeds, rows, strict=True)},
    "runs": lambda seeds, rows: {
        "runs": [{"seed": s, **r} for s, r in zip(seeds, rows, strict=True)],
    },
    "text seeds": lambda seeds, rows: {
        "results": [{"seed": str(s), **r} for s, r in zip(seeds, rows, strict=True)],
    },
    "deep": lambda seeds, rows: {
        "results": {"per_seed": {f"seed{s}": r for s, r in zip(seeds, rows, strict=True)}}
    },
    "numbered": lambda seeds, rows: {
        f"run_{i}": {"seed": s, **r} for i, (s, r) in enumerate(zip(seeds, rows, strict=True), 1)
    },
    "lists": lambda seeds, rows: {
        "seeds": seeds,
        "val_bpbs": [r["val_bpb"] for r in rows],
        "artifact_bytes_per_seed": [r["artifact_bytes"] for r in rows],
    },
    "by field": lambda seeds, rows: {
        "seeds": seeds,
        "per_seed_val_bpb": {str(s): r["val_bpb"] for s, r in zip(seeds, rows, strict=True)},
        "artifact_bytes_by_seed": {
            str(s): r["artifact_bytes"] for s, r in zip(seeds, rows, strict=True)
        },
    },
    "in the key": lambda seeds, rows: {
        key: value
        for s, r in zip(seeds, rows, strict=True)
        for key, value in (
            (f"val_bpb_seed{s}", r["val_bpb"]),
            (f"seed_{s}_bytes", r["artifact_bytes"]),
        )
    },
    "results": lambda seeds, rows: {
        "seeds": [str(s) for s in seeds],
        "results": {str(s): r for s, r in zip(seeds, rows, strict=True)},
    },
}


@pytest.mark.parametrize("style", STYLES)
@given(seeds=SEEDS, data=st.data())
def test_what_is_claimed_of_each_seed_comes_back(
    style: str, seeds: list[int], data: st.DataObject
) -> None:
    rows = [
        {"val_bpb": data.draw(BPB), "artifact_bytes": data.draw(st.integers(10**6, 10**8))}
        for _ in seeds
    ]
    claims = claimed({"val_bpb": 1.5, "name": "x", **STYLES[style](seeds, rows)})
    wanted = {s: (r["val_bpb"], r["artifact_bytes"]) for s, r in zip(seeds, rows, strict=True)}
    assert both(claims) == wanted
    assert list(claims.seeds) == seeds
    assert claims.val_bpb.value == 1.5


@pytest.mark.parametrize(
    "tree",
    [
        {"val_bpb": 1.0812},
        {"val_bpb": "1.0812"},
        {"valBpb": 1.0812},
        {"Val BPB": 1.0812},
        {"val-bpb": 1.0812},
        {"val_bits_per_byte": 1.0812},
        {"mean_bpb": 1.0812},
        {"avg_val_bpb": 1.0812, "val_bpb_std": 0.1},
        {"val_bpb_mean": 1.0812},
        {"val_bpb": {"mean": 1.0812, "std": 0.0004}},
        {"results": {"val_bpb": {"mean": 1.0812, "std": 0.0004}}},
        {"metrics": {"val_bpb": 1.0812}, "best_val_bpb": 1.2},
        {"val_bpb": 1.0812, "pre_quant_val_bpb": 1.07, "baseline_val_bpb": 1.2, "delta_bpb": 0.1},
        {"val_bpb": 1.0812, "val_bpb_3seed_mean": 1.08123456},
        {"val_bpb": 1.0812, "sliding_val_bpb": 1.07, "best_val_bpb": 1.06},
        {"mean_val_bpb": 1.0812, "val_bpb_post_ttt": 1.07},
        {"ttt_val_bpb": 1.0812, "prequant_val_bpb": 1.07},
        {"score": 1.0812},
    ],
)
def test_the_headline_is_found_under_any_of_its_names(tree: Any) -> None:
    claims = claimed(tree)
    assert claims.val_bpb.value == 1.0812
    assert claims.val_bpb.candidates == ()
    assert claims.bpb_digits == 4


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"delta_bpb": 0.1, "baseline_bpb": 1.2, "val_bpb_std": 0.5},
        {"codec_proxy_bpb": 0.8},
        {"pre_quant_val_bpb": 1.08},
        {"val_bpb": None},
        {"val_bpb": "about 1.08"},
        {"val_bpb": "1,0812"},
        {"val_bpb": "1.08 to 1.09"},
        {"val_bpb": True},
        {"val_bpb": 0.0},
        {"val_bpb": 108.12},
        {"val_bpb": [1.08, 1.09]},
        {"previous": {"val_bpb": 1.08}},
        '{"val_bpb": NaN}',
        '{"val_bpb": 1e999}',
    ],
)
def test_a_number_of_something_else_is_no_headline(tree: Any) -> None:
    assert claimed(tree).val_bpb.values == ()


@pytest.mark.parametrize(
    "tree",
    [
        '{"val_bpb": 1.09,\n"val_bpb": 1.08}',
        '{"val_bpb": 1.08,\n"metrics": {"val_bpb": 1.09}}',
        '{"mean_val_bpb": 1.08,\n"final_val_bpb": 1.09}',
        '{"val_bpb": 1.08,\n"mean_val_bpb": 1.09}',
        '{"val_bpb_mean": 1.09,\n"val_bpb": 1.08}',
        '{"val_bpb": "1.08",\n"results": {"val_bpb": {"mean": 1.09}}}',
    ],
)
def test_what_keys_claim_differently_is_ambiguous(tree: str) -> None:
    found = claimed(tree).val_bpb
    assert sorted((value.value, value.line) for value in found.candidates) in (
        [(1.08, 1), (1.09, 2)],
        [(1.08, 2), (1.09, 1)],
    )


@pytest.mark.parametrize(
    ("tree", "total"),
    [
        ({"bytes_total": 15_912_345}, 15_912_345),
        ({"bytes_total": "15,912,345"}, 15_912_345),
        ({"bytesTotal": "15912345 bytes"}, 15_912_345),
        ({"artifact_bytes": {"mean": 15_900_000.5, "max": 15_912_345}}, 15_912_345),
        ({"artifact_size_bytes": 15_912_345}, 15_912_345),
        ({"artifact_size": 15.9}, None),
        ({"artifact_size": 16}, None),
        ({"artifact_size": "15.9 MB"}, None),
        ({"bytes_total": 15_912_345.5}, None),
        ({"bytes_total": 10**40}, None),
        ({"model_bytes": 15_912_345}, None),
    ],
)
def test_sizes_are_whole_bytes_or_nothing(tree: Any, total: int | None) -> None:
    assert claimed(tree).bytes_total.value == total


@pytest.mark.parametrize(
    ("tree", "seeds"),
    [
        ({"seeds": [42, 7]}, (42, 7)),
        ({"seeds": ["42", "7"]}, (42, 7)),
        ({"seeds": "42, 7 and 1337"}, (42, 7, 1337)),
        ({"seed": 42}, (42,)),
        ({"seed": "42"}, (42,)),
        ({"seeds": 3}, ()),
        ({"seeds": "three"}, ()),
        ({"seeds": [42, -1]}, ()),
        ({"seeds": [42, 1.5]}, ()),
        ({"seeds": [42, None]}, ()),
        ({"seeds": [42, 42, 7]}, (42, 7)),
        ({"num_seeds": 3}, ()),
        ({"config": {"seeds": [1, 2]}}, (1, 2)),
        ({"seed_results": {"42": {"val_bpb": 1.0}, "7": {"val_bpb": 1.0}}}, (42, 7)),
    ],
)
def test_seeds_are_read_and_counts_are_not(tree: Any, seeds: tuple[int, ...]) -> None:
    assert claimed(tree).seeds == seeds


@pytest.mark.parametrize(
    "tree",
    [
        {"seeds": [1, 2, 3], "val_bpbs": [1.0, 1.1]},
        {"seeds": [1, 2], "delta_bpbs": [1.0, 1.1]},
        {"seeds": [1, 2], "val_bpbs": [1.0, None]},
        {"seeds": [42, 7], "seed_1_bpb": 1.0, "seed_2_bpb": 1.1},
        {"rerun": {"seed_42": {"val_bpb": 1.0}}},
        {"results": {"42": {"val_bpb": 1.0}}},
        {"seed_results": {"42": {"note": "x", "nested": {"val_bpb": 1.0}}}},
    ],
)
def test_what_may_be_of_no_seed_is_of_none(tree: Any) -> None:
    assert [claim for claim in claimed(tree).per_seed if claim.val_bpb] == []


def test_steps_and_times_of_seeds_are_read_in_their_units() -> None:
    tree = {
        "seed_results": {
            "1": {"val_bpb": 1.0, "val_loss": 1.7, "steps": 7000, "train_time_ms": 599000},
            "2": {"val_bpb": 1.1, "train_time_s": 600.5, "steps": 7000.5},
        }
    }
    one, two = claimed(tree).per_seed
    assert one.val_loss is not None
    assert one.steps is not None
    assert one.train_s is not None
    assert two.train_s is not None
    assert (one.val_loss.value, one.loss_digits, one.steps.value) == (1.7, 1, 7000)
    assert (one.train_s.value, two.train_s.value, two.steps) == (599.0, 600.5, None)


def test_of_the_scores_of_seeds_the_one_with_the_claimed_mean_counts() -> None:
    tree = {
        "val_bpb": 1.05,
        "seed_results": {
            "1": {"quantized_bpb": 1.2, "slot_bpb": 1.0},
            "2": {"quantized_bpb": 1.3, "slot_bpb": 1.1},
        },
    }
    assert both(claimed(tree)) == {1: (1.0, None), 2: (1.1, None)}


def test_all_else_is_read_with_its_line() -> None:
    claims = claimed(
        """{
        "name": "N", "author": "A", "date": "20260401", "track": "10min_16mb",
        "val_loss": 1.8012,
        "val_bpb": {"mean": 1.0812,
                    "std": 0.00040},
        "train_time_ms": 599000,
        "eval_time_seconds": 88.5,
        "code_bytes": 51122,
        "steps": 7000, "step_avg_ms": 85.5, "base_pr": 1218,
        "delta": {"improvement_nats": 0.008},
        "blurb": "B", "hardware": "8xH100"}"""
    )
    assert (claims.name.value, claims.author.value, claims.date.value) == ("N", "A", "20260401")
    assert (claims.track.value, claims.hardware.value, claims.text.value) == (
        "10min_16mb",
        "8xH100",
        "B",
    )
    assert (claims.val_loss.value, claims.loss_digits) == (1.8012, 4)
    assert (claims.std_bpb.value, claims.std_digits) == (0.0004, 5)
    assert (claims.train_s.value, claims.eval_s[0].value) == (599.0, 88.5)
    assert (claims.steps.value, claims.step_ms.value, claims.against.value) == (7000, 85.5, 1218)
    assert claims.bytes_code.value == 51122
    assert [(delta.value, delta.words) for delta in claims.deltas] == [
        (0.008, "delta.improvement_nats")
    ]
    places = [
        claims.name,
        claims.val_loss,
        claims.val_bpb,
        claims.std_bpb,
        claims.train_s,
        claims.bytes_code,
    ]
    assert [found.best and found.best.line for found in places] == [2, 3, 4, 5, 6, 8]


def test_many_seeds_are_bounded_and_read_in_time() -> None:
    """Each entry of a list was once looked for among all the others."""
    runs = [{"seed": seed, "val_bpb": 1.0} for seed in range(8000)]
    assert len(claimed({"runs": runs}).per_seed) == MAX_SEEDS
    assert len(claimed({"seeds": list(range(9000))}).seeds) == MAX_SEEDS


def test_a_number_in_quotes_is_a_plain_number_with_its_decimals() -> None:
    claims = claimed(
        {"val_bpb": "1.1006", "val_loss": "1.85830", "bytes_total": "15,900,000 bytes"}
    )
    found = (claims.val_bpb.value, claims.val_loss.value, claims.bytes_total.value)
    assert [type(value) for value in found] == [float, float, int]
    assert (claims.bpb_digits, claims.loss_digits) == (4, 5)
    of_seeds = claimed({"seeds": [1, 2], "val_bpbs": ["1.10", "1.200"]}).per_seed
    assert [(c.val_bpb and type(c.val_bpb.value), c.bpb_digits) for c in of_seeds] == [
        (float, 2),
        (float, 3),
    ]


@pytest.mark.parametrize(
    ("tree", "name", "values"),
    [
        ({"bytes_code": 60_000, "code_bytes": 90_000}, "bytes_code", [90_000, 60_000]),
        ({"bytes_code": 60_000, "code_bytes": 60_000}, "bytes_code", [60_000]),
        ({"std": 0.0005, "val_bpb_std": 0.9}, "std_bpb", [0.9, 0.0005]),
        ({"std": 0.0005, "val_bpb_std": 0.00052}, "std_bpb", [0.0005]),
        ({"val_bpb_ttt_std": 0.7, "std": 0.1}, "std_bpb", [0.1]),
        ({"val_loss": 1.8, "val_loss_mean": 1.9}, "val_loss", [1.9, 1.8]),
        ({"val_loss": 1.8, "val_loss_mean": 1.8012}, "val_loss", [1.8]),
        ({"val_bpb": 1.1, "mean_val_bpb": 1.07, "val_bpb_mean": 1.06}, "val_bpb", [1.06, 1.07, 1.1]),
    ],
)  # fmt: skip
def test_a_second_key_for_the_same_is_a_value_too(
    tree: dict[str, Any], name: str, values: list[float]
) -> None:
    assert [value.value for value in getattr(claimed(tree), name).values] == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"val_bpb": 1.1, "val_bpb": 1.05}', [1.1, 1.05]),
        ('{"val_bpb": 1.1, "name": "x", "val_bpb": 1.1}', [1.1]),
        ('{"results": {"val_bpb": 1.1}, "results": {"val_bpb": 1.05}}', [1.1, 1.05]),
        ('{"val_bpb": 1.1, "val_bpb": null}', []),
    ],
)
def test_of_a_key_given_twice_the_last_counts_and_the_first_is_a_candidate(
    text: str, values: list[float]
) -> None:
    assert [value.value for value in claimed(text).val_bpb.values] == values


def test_of_a_key_given_twice_every_reader_takes_the_last() -> None:
    claims = claimed(
        """{"seeds": [1, 2], "name": "a", "bytes_total": 15000000, "bytes_code": 5000, "steps": 1,
        "seed_results": {"1": {"val_bpb": 1.5}, "3": {"val_bpb": 1.5}},
        "seeds": [3, 4], "name": "b", "bytes_total": 16000000, "bytes_code": 6000, "steps": 2,
        "seed_results": {"3": {"val_bpb": 1.25}, "4": {"val_bpb": 1.25}}}"""
    )
    assert (claims.seeds, claims.name.value, claims.steps.value) == ((3, 4), "b", 2)
    assert (claims.bytes_total.value, claims.bytes_code.value) == (16_000_000, 6000)
    assert [len(found.candidates) for found in (claims.bytes_total, claims.bytes_code)] == [2, 2]
    assert {seed: bpb for seed, (bpb, _) in both(claims).items()} == {3: 1.25, 4: 1.25}


@pytest.mark.parametrize(
    ("tree", "seconds"),
    [
        ({"eval_time_seconds": 90, "eval_all_seeds_time_s": 1900}, [90]),
        ({"eval_timeout_s": 3600, "eval_budget_seconds": 1200}, []),
        ({"eval_limit_s": 1, "eval_time_cap_s": 1, "eval_max_allowed_seconds": 1}, []),
        ({"eval_time_ms": 900_000, "eval_time_ms_mean": 800_000}, [900.0, 800.0]),
        ({"eval_stride": 64, "eval_time": 10}, []),
    ],
)
def test_only_times_that_an_evaluation_took_are_read(
    tree: dict[str, Any], seconds: list[float]
) -> None:
    assert [value.value for value in claimed(tree).eval_s] == seconds


@pytest.mark.parametrize(
    ("tree", "seconds"),
    [
        ({"train_time": 10}, None),
        ({"training_wallclock": 600}, None),
        ({"train_time_s": 600}, 600.0),
        ({"train_wallclock_ms_mean": 600_000}, 600.0),
    ],
)
def test_a_time_of_training_has_a_unit(tree: dict[str, Any], seconds: float | None) -> None:
    assert claimed(tree).train_s.value == seconds
