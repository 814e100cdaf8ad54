"""A few runs of the stress test, and that it can be red; `python -m tests.faults.stress` has hundreds."""

import random
import re
from collections import Counter

import pytest

from tests.faults import stress
from tests.faults.bench import Ended
from tests.faults.cases import CHEATS, HONEST, Case, rulesets


def name(case):
    return case.name


def test_six_runs_in_a_row(capsys):
    status = stress.main(["--runs", "6"])
    said = capsys.readouterr().out
    assert status == 0, said
    assert said.endswith("wrong verdicts 0, leftovers 0\n")
    assert re.match(r"6 runs, seed \d+, levels ", said)


def test_everything_is_drawn_before_long():
    chance = random.Random(1)
    drawn = [stress.draw(chance, ["namespaces", "landlock", "bare"]) for _ in range(2000)]
    assert {one.case.name for one in drawn} == {case.name for case in HONEST + CHEATS}
    assert {one.fault for one in drawn} == set(stress.FAULTS)
    kinds = Counter(bool(one.case.fails) for one in drawn)
    assert 0.4 < kinds[True] / len(drawn) < 0.6
    assert not [one for one in drawn if one.level == "bare" and one.fault == "keeper killed"]


# Those that differ by the phase in which they strike are test_memory's and test_scorers's, one by one.
KINDS = [case for case in HONEST + CHEATS if " in " not in case.name]


@pytest.mark.parametrize("case", KINDS, ids=name)
def test_each_verdict_is_right_where_nothing_befalls_the_judge(case, bench, tmp_path):
    ended = bench.judge(case.write(tmp_path / "mine"), rulesets(tmp_path)[case.tight])
    assert stress.complaint(case, ended) == ""


def report(failed, nats=4.1588830833596715):
    findings = [{"id": "norm.sum", "status": status, "message": ""} for status in failed]
    return {"findings": findings, "required": ["norm.sum"], "seeds": [{"nats_per_token": nats}]}


@pytest.mark.parametrize(
    ("fails", "status", "judged", "wrong"),
    [
        ((), 0, report(["PASS"]), False),
        ((), 0, report(["PASS"], nats=4.0), True),
        ((), 1, report(["FAIL"]), True),
        ((), 3, report(["ERROR"]), True),
        ((), 3, {}, True),
        (("norm.sum",), 1, report(["FAIL"]), False),
        (("norm.sum",), 0, report(["PASS"]), True),
        (("norm.sum",), 3, report(["ERROR"]), True),
        (("order.blind",), 1, report(["FAIL"]), True),
    ],
)
def test_a_wrong_verdict_is_seen(fails, status, judged, wrong):
    ended = Ended(status=status, err="", run=None, report=judged)
    assert bool(stress.complaint(Case(name="x", fails=frozenset(fails)), ended)) == wrong
