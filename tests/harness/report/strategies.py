"""Random reports and results: any value that the model's types allow, in text that tries to get out."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from harness.report.model import Report
from harness.report.result import Result
from tests.harness.report.sample_results import HOSTILE

odd_text = st.one_of(
    st.sampled_from(
        (*HOSTILE, "", " ", "a" * 4096, "文" * 70, "train", "עברית <b>", "stats.margin")
    ),
    st.text(max_size=30),
    st.text(
        st.sampled_from("\x00\x07\x1b\x7f\x9b\r\n\t<>&\"'`:#[]\u200b\u202e\u2028\ud800\u0301a "),
        max_size=30,
    ),
    st.text(st.sampled_from("@#$:/*_[](){}<>`|\\\\~!&-+=^%,.;'\"1234abgh \nw\ufffe"), max_size=30),
)
finite = st.floats(allow_nan=False, allow_infinity=False)
integers = st.one_of(st.integers(-3, 10**6), st.integers(), st.just(10**400))
json_values = st.recursive(
    st.none() | st.booleans() | integers | finite | odd_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=4),
    max_leaves=12,
)

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: odd_text,
    int: integers,
    float: finite,
    bool: st.booleans(),
    type(None): st.none(),
    Any: json_values,
}

_COMPARISON = st.fixed_dictionaries(
    {},
    optional={
        "sample": st.fixed_dictionaries(
            {"nats_per_token": st.lists(finite, max_size=3), "mean": finite, "ci": json_values}
        ),
        "baseline": json_values,
        "improvement_nats": finite | integers,
        "improvement_ci": st.lists(finite, min_size=2, max_size=2).map(sorted),
        "readings": st.lists(
            st.fixed_dictionaries(
                {"test": odd_text, "margin_nats": finite, "p": finite | st.none()}
            )
            | json_values,
            max_size=4,
        ),
        "seeds_needed": integers | st.none(),
    },
)
evidence = st.dictionaries(odd_text, json_values, max_size=4) | st.fixed_dictionaries(
    {"comparison": _COMPARISON | json_values},
    optional={
        name: finite | json_values
        for name in (
            "gain_mean_nats_per_token",
            "gain_lower_nats_per_token",
            "gain_upper_nats_per_token",
            "gain_limit_nats_per_token",
        )
    },
)
check_ids = (
    st.sampled_from(("stats.margin", "order.blind", "bytes.artifact", "time.train")) | odd_text
)


@cache
def of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for any type that the model uses; it is read from the annotations."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*(of(argument) for argument in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(of(argument) for argument in arguments))
    if origin is dict:
        return st.dictionaries(*(of(argument) for argument in arguments), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return _record(kind)


def _record(kind: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    names = [
        field.name for field in (dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ())
    ]
    names = names or [field.name for field in msgspec.structs.fields(kind)]
    special = {"evidence": evidence, "id": check_ids} if "evidence" in names else {}
    return st.builds(
        kind, **{name: special[name] if name in special else of(hints[name]) for name in names}
    )


reports: st.SearchStrategy[Report] = of(Report)
results: st.SearchStrategy[Result] = of(Result)
