"""Any sequence of questions, acceptances, savings and loadings: history is what was accepted, no more.

Two machines: the compiled state beside its twin, which must answer alike to the last bit; and the twin alone,
on a machine without a compiler too. Beside both, after every step, stands a fresh state that only accepted.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from tests.native.drawn import (
    BLOCK,
    NEEDS_COMPILED,
    STREAMS,
    Counts,
    answers,
    scenes,
    tokens,
    within,
)


class Session(RuleBasedStateMachine):
    """`builds`: which states go through the sequence, True for compiled; fresh ones are like the first."""

    builds: tuple[bool, ...]
    saved = Bundle("saved")

    @initialize(scene=scenes())
    def begin(self, scene):
        self.scene = scene
        self.states = [scene.state(use_compiled) for use_compiled in self.builds]
        self.history, self.question = [], []

    def fresh(self, cut=BLOCK) -> Counts:
        return self.scene.after(self.builds[0], self.history, cut)

    def look_at(self, question):
        self.question = question
        fresh = self.fresh()
        wanted = answers(fresh, question)
        for state in self.states:
            assert answers(state, question) == wanted
            assert (state.met, state.given_up) == (fresh.met, fresh.given_up)

    def accept_these(self, block):
        for state in self.states:
            state.accept(tokens(block))
        self.history, self.question = self.history + block, []

    @rule(drawn=STREAMS)
    def look_at_another(self, drawn):
        self.look_at(within(drawn, self.scene.vocab))

    @rule()
    def look_at_nothing(self):
        self.look_at([])

    @rule()
    def look_again(self):
        self.look_at(self.question)

    @precondition(lambda self: self.question)
    @rule(share=st.floats(0, 1))
    def look_at_its_beginning(self, share):
        self.look_at(self.question[: round(share * len(self.question))])

    @rule(share=st.floats(0, 1), drawn=STREAMS)
    def look_at_another_end(self, share, drawn):
        beginning = self.question[: round(share * len(self.question))]
        self.look_at((beginning + within(drawn, self.scene.vocab))[:BLOCK])

    @precondition(lambda self: self.question)
    @rule(share=st.floats(0, 1), other=st.integers(0, 7))
    def look_at_it_with_one_exchanged(self, share, other):
        at = round(share * (len(self.question) - 1))
        other %= self.scene.vocab
        self.look_at([*self.question[:at], other, *self.question[at + 1 :]])

    @rule(drawn=STREAMS)
    def accept_another(self, drawn):
        self.accept_these(within(drawn, self.scene.vocab))

    @precondition(lambda self: self.question)
    @rule()
    def accept_what_was_looked_at(self):
        self.accept_these(self.question)

    @precondition(lambda self: self.question)
    @rule(share=st.floats(0, 1), drawn=STREAMS)
    def accept_a_part_and_more(self, share, drawn):
        beginning = self.question[: round(share * len(self.question))]
        self.accept_these((beginning + within(drawn, self.scene.vocab))[:BLOCK])

    @rule(target=saved, cut=st.integers(1, BLOCK))
    def save(self, cut):
        saved = self.fresh(cut).save()
        for state in self.states:
            assert state.save() == saved
        self.question = []
        return saved, self.history

    @rule(one=saved)
    def load(self, one):
        saved, self.history = one
        for state in self.states:
            state.load(saved)
        self.question = []

    @rule(target=saved, one=saved, share=st.floats(0, 1), bit=st.integers(0, 7))
    def load_what_is_damaged(self, one, share, bit):
        damaged = bytearray(one[0])
        damaged[round(share * (len(damaged) - 1))] ^= 1 << bit
        for state in self.states:
            with pytest.raises(ValueError, match="refused"):
                state.load(bytes(damaged))
        self.history, self.question = [], []
        return multiple()

    @invariant()
    def numbers_agree(self):
        fresh = self.fresh()
        if self.question:
            fresh.look(tokens(self.question))
        for state in self.states:
            assert state.accepted == len(self.history)
            assert (state.met, state.given_up) == (fresh.met, fresh.given_up)

    def teardown(self):
        if hasattr(self, "scene"):
            self.save(7)


class Both(Session):
    builds = (True, False)


class Twin(Session):
    builds = (False,)


@NEEDS_COMPILED
class TestBoth(Both.TestCase):
    settings = settings(max_examples=settings.default.max_examples // 2, stateful_step_count=30)


class TestTwin(Twin.TestCase):
    settings = settings(max_examples=settings.default.max_examples // 4, stateful_step_count=15)
