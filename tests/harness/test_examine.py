"""Patience with the answers of a challenge process."""

import numpy as np
import pytest

from harness.clock import Stopwatch
from harness.examine import SessionAnswers
from harness.session import OutOfTime, ProtocolBreach


class Channel:
    """Remembers what it was told, and makes breaches as the real one does."""

    question, position, deadline = "", 0, None

    def breach(self, kind, message):
        from checks.contract import Breach

        return ProtocolBreach(Breach(kind=kind, message=message, frame=0, question=self.question))


class Silent:
    """A session whose process never answers."""

    def __init__(self):
        self.channel = Channel()

    def score(self, tokens_n, first):
        raise OutOfTime

    accept = predict = lambda self, tokens_n: (_ for _ in ()).throw(OutOfTime)


@pytest.mark.parametrize("call", ["accept", "predict", "score"])
def test_silence_is_a_breach_whatever_is_left_of_the_budget(call):
    answers = SessionAnswers(Silent(), answer_s=5.0, token_s=0.0)
    answers.about("blind", 7)
    arguments = (np.zeros(3, np.uint32), *([0] if call == "score" else []))
    with pytest.raises(ProtocolBreach) as broken:
        getattr(answers, call)(*arguments)
    assert (broken.value.breach.kind, broken.value.breach.question) == ("silence", "blind")


def test_patience_grows_with_what_the_credited_pass_took_for_as_much():
    session = Silent()
    answers = SessionAnswers(session, answer_s=5.0, token_s=0.01)
    for tokens in (0, 1, 1000):
        watch = Stopwatch()
        with pytest.raises(ProtocolBreach):
            answers.score(np.zeros(tokens, np.uint32), 0)
        left_s = session.channel.deadline.remaining_s + watch.elapsed_s
        assert left_s == pytest.approx(5.0 + 0.02 * tokens, abs=0.05)
