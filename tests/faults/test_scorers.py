"""Scorers that fall silent: no phase waits longer than its budget, and the run ends with a verdict."""

import re

import pytest

from harness.errors import EXIT_RULE_BROKEN
from tests.faults.minis import mini, rules

ASLEEP = "while True: time.sleep(60)"
DEAF = """
# What it sends fills the judge's side while nothing that the judge sends is taken.
while True: judge.sendall(bytes(1 << 20))
"""
GONE = "judge.close()\nwhile True: time.sleep(60)"
STOPPED = "os.kill(os.getpid(), signal.SIGSTOP)"
SAID = {
    "start": "it never said `ready`",
    "load": "it never said `ready`",
    "train": "every process was killed at the deadline",
    "score": "of 10001 tokens were credited",
    "challenge": "no answer within",
}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    budgets = {f"{phase}_s": 1.5 for phase in ("setup", "train", "load", "score")}
    return rules(tmp_path_factory.mktemp("impatient"), **budgets, answer_s=1.0)


@pytest.mark.parametrize("place", SAID)
def test_one_that_never_answers(bench, impatient, tmp_path, place):
    ended = bench.judge(mini(tmp_path / "mine", **{place: ASLEEP}), impatient)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert SAID[place] in " ".join(ended.findings("FAIL").values())


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (STOPPED, "no answer within|tokens were credited"),
        (DEAF, "not a frame: header 0000"),
        (GONE, "the process closed its end|without an answer"),
    ],
)
@pytest.mark.parametrize("place", ["score", "challenge"])
def test_one_that_stops_reading(bench, impatient, tmp_path, code, says, place):
    ended = bench.judge(mini(tmp_path / "mine", **{place: code}), impatient)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert re.search(says, " ".join(ended.findings("FAIL").values()))


def test_one_that_takes_nothing_of_a_block_larger_than_any_buffer(bench, impatient, tmp_path):
    """The judge's own write blocks then, and not its read."""
    submission = mini(tmp_path / "mine", load="send(READY)\nwhile True: time.sleep(60)")
    ended = bench.judge(submission, impatient)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert ended.findings("FAIL")["time.score"].count("0 of ")
