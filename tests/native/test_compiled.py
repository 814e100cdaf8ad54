"""The compiled type by itself: whatever it is given, it raises or works, from any number of threads."""

import copy
import threading

import numpy as np
import pytest

from native import counts
from native.counts import Counts
from tests.native.drawn import NEEDS_COMPILED, THREE, spoken, tokens

pytestmark = NEEDS_COMPILED

X, C, V, T = 3, 2, 3, 4
GOOD = [(0, 2, 64), (2, 1, 64)]


def given_raw(**changed):
    good = {
        "contexts": GOOD,
        "kind_V": np.zeros(V, np.uint8),
        "hash_V3": np.ones((V, 3), np.uint64),
        "power_V3": np.full((V, 3), 3, np.uint64),
        "block_tokens": T,
        "hint_XT": np.zeros((X, T + 1), np.int32),
        "rate_XT": np.zeros((X, T + 1), np.float32),
        "counts_CT": np.zeros((C, T + 1), np.uint64),
        "open_T": np.zeros(T + 1, np.uint8),
    }
    return list((good | changed).values())


def raw(**changed):
    return counts.compiled.Ngram(*given_raw(**changed))


def read_only(shape, dtype):
    array = np.zeros(shape, dtype)
    array.flags.writeable = False
    return array


def askew(shape, dtype):
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    return np.frombuffer(bytearray(size + 1), dtype, offset=1).reshape(shape)


@pytest.mark.parametrize(
    "changed",
    [
        {"hint_XT": np.zeros((X, T + 1), np.uint32)},
        {"hint_XT": np.zeros((X, T + 1), np.int64)},
        {"hint_XT": np.zeros((X, T + 1), np.float32)},
        {"hint_XT": np.zeros((X, T + 1), ">i4")},
        {"hint_XT": np.zeros((X, T), np.int32)},
        {"hint_XT": np.zeros((X + 1, T + 1), np.int32)},
        {"hint_XT": np.zeros((C, T + 1), np.int32)},
        {"hint_XT": np.zeros((X, 2 * T + 2), np.int32)[:, ::2]},
        {"hint_XT": read_only((X, T + 1), np.int32)},
        {"hint_XT": askew((X, T + 1), np.int32)},
        {"hint_XT": None},
        {"rate_XT": np.zeros((X, T + 1), np.float64)},
        {"rate_XT": np.zeros((X, T + 1), np.int32)},
        {"rate_XT": np.zeros((X, T + 1), ">f4")},
        {"rate_XT": np.zeros((X, T), np.float32)},
        {"rate_XT": np.zeros((C, T + 1), np.float32)},
        {"rate_XT": read_only((X, T + 1), np.float32)},
        {"rate_XT": askew((X, T + 1), np.float32)},
        {"counts_CT": np.zeros((C, T + 1), np.int64)},
        {"counts_CT": np.zeros((C, T + 1), np.float64)},
        {"counts_CT": np.zeros((C, T + 1), ">u8")},
        {"counts_CT": np.zeros((C, T), np.uint64)},
        {"counts_CT": np.zeros((C, T + 2), np.uint64)},
        {"counts_CT": np.zeros((1, T + 1), np.uint64)},
        {"counts_CT": np.zeros((X, T + 1), np.uint64)},
        {"counts_CT": np.zeros(0, np.uint64)},
        {"counts_CT": np.zeros((C, 2 * T + 2), np.uint64)[:, ::2]},
        {"counts_CT": read_only((C, T + 1), np.uint64)},
        {"counts_CT": bytes(C * (T + 1) * 8)},
        {"counts_CT": askew((C, T + 1), np.uint64)},
        {"counts_CT": None},
        {"counts_CT": [0] * 10},
        {"open_T": np.zeros(T + 1, bool)},
        {"open_T": np.zeros(T + 1, np.int8)},
        {"open_T": np.zeros(T, np.uint8)},
        {"open_T": np.zeros(2 * T + 2, np.uint8)[::2]},
        {"open_T": bytes(T + 1)},
        {"kind_V": np.zeros(V, np.int8)},
        {"kind_V": np.zeros(V, np.uint16)},
        {"kind_V": np.zeros(V + 1, np.uint8)},
        {"kind_V": np.zeros(0, np.uint8)},
        {"kind_V": np.zeros(65_537, np.uint8)},
        {"kind_V": None},
        {"hash_V3": np.ones((V, 3), np.int64)},
        {"hash_V3": np.ones((V, 3), ">u8")},
        {"hash_V3": np.ones((V, 2), np.uint64)},
        {"hash_V3": np.ones((3, V), np.uint64).T[:, ::-1]},
        {"power_V3": np.ones((V, 3), np.float64)},
        {"power_V3": np.ones((V + 1, 3), np.uint64)},
        {"power_V3": "power"},
        {"block_tokens": 0},
        {"block_tokens": T + 1},
        {"block_tokens": -1},
        {"block_tokens": 1 << 32},
        {"block_tokens": (1 << 32) + T},
        {"block_tokens": 1 << 80},
        {"block_tokens": 4.0},
        {"block_tokens": None},
        {"contexts": []},
        {"contexts": None},
        {"contexts": 7},
        {"contexts": "ab"},
        {"contexts": [None, None]},
        {"contexts": [(0, 2), (2, 1)]},
        {"contexts": [(0, 2, 64, 0), (2, 1, 64)]},
        {"contexts": [(0, 2, "64"), (2, 1, 64)]},
        {"contexts": [(0.0, 2, 64), (2, 1, 64)]},
        {"contexts": [(0, 2, 64), (2, 1, 63)]},
        {"contexts": [(0, 2, 64), (2, 1, -64)]},
        {"contexts": [(0, 2, 64), (2, 1, (1 << 64) + 64)]},
        {"contexts": [(0, 2, 64), (2, 1, 1 << 36)]},
        {"contexts": [(0, 2, 64), (3, 1, 64)]},
        {"contexts": [(0, 2, 64), (-1, 1, 64)]},
        {"contexts": [(0, 2, 64), (1 << 40, 1, 64)]},
        {"contexts": [(0, 2, 64), (2, (1 << 32) + 1, 64)]},
        {"contexts": [(0, 1, 64), (0, 2, 64)]},
        {"contexts": [(0, 2, 64), (0, 2, 64)]},
        {"contexts": [(0, 2, 64)] * 24},
        {"contexts": [(0, 2, 64)] * 25},
        {"contexts": [(0, n, 64) for n in range(9, 0, -1)]},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_the_compiled_type_refuses_what_it_cannot_use(changed):
    contexts = changed.get("contexts")
    if isinstance(contexts, list) and len(contexts) != C:  # that it is this that is refused
        changed = {**changed, "counts_CT": np.zeros((len(contexts), T + 1), np.uint64)}
    with pytest.raises((TypeError, ValueError, BufferError, OverflowError)):
        raw(**changed)


def test_the_compiled_type_wants_all_its_arguments():
    for count in range(9):
        with pytest.raises(TypeError):
            counts.compiled.Ngram(*given_raw()[:count])
    with pytest.raises(TypeError):
        counts.compiled.Ngram(*given_raw(), None)


USES = [
    lambda state: state.look(tokens([0])),
    lambda state: state.accept(tokens([0])),
    lambda state: state.save(),
    lambda state: state.load(b""),
    lambda state: state.accepted,
    lambda state: state.table_bytes,
    lambda state: state.contexts,
    lambda state: state.given_up,
]


@pytest.mark.parametrize("use", USES)
def test_a_state_that_was_never_made_says_so(use):
    never = counts.compiled.Ngram.__new__(counts.compiled.Ngram)
    with pytest.raises(ValueError, match="never made"):
        use(never)
    for changed in (
        {"contexts": [(0, 2, 63), (2, 1, 64)]},
        {"open_T": bytes(T + 1)},
        {"kind_V": None},
    ):
        failed = counts.compiled.Ngram.__new__(counts.compiled.Ngram)
        with pytest.raises((TypeError, ValueError, BufferError)):
            failed.__init__(*given_raw(**changed))
        with pytest.raises(ValueError, match="never made"):
            use(failed)


def test_a_state_is_made_once():
    state = raw()
    state.accept(tokens([0, 1, 0]))
    saved = state.save()
    for arguments in (given_raw(), given_raw(contexts=[(0, 2, 63)] * 2)):
        with pytest.raises(RuntimeError, match="made already"):
            state.__init__(*arguments)
    with pytest.raises(TypeError):
        state.__init__()
    assert state.save() == saved


@pytest.mark.parametrize("where", ["contexts", "one context"])
def test_a_state_that_is_being_made_is_not_made_again_or_used(where):
    state, refused = counts.compiled.Ngram.__new__(counts.compiled.Ngram), []

    class Reentrant:
        def __init__(self, values):
            self.values = values

        def __iter__(self):
            for use in (lambda: state.__init__(*given_raw()), lambda: state.look(tokens([0]))):
                with pytest.raises((RuntimeError, ValueError)) as problem:
                    use()
                refused.append(problem.typename)
            return iter(self.values)

    contexts = Reentrant(GOOD) if where == "contexts" else [Reentrant(GOOD[0]), GOOD[1]]
    state.__init__(*given_raw(contexts=contexts))
    assert refused == ["RuntimeError", "ValueError"]
    state.accept(tokens([0, 1]))
    assert state.accepted == 2


@pytest.mark.parametrize("method", ["look", "accept"])
@pytest.mark.parametrize(
    "token_T",
    [
        np.zeros(1, np.int16),
        np.zeros(1, np.int64),
        np.zeros(1, ">u2"),
        np.zeros(1, np.float16),
        np.zeros(4, np.uint16)[::2],
        askew((1,), np.uint16),
        np.zeros(T + 1, np.uint16),
        np.array([V], np.uint16),
        b"\0\0",
        "aa",
        [0],
        None,
    ],
    ids=repr,
)
def test_the_compiled_state_refuses_what_is_no_question(method, token_T):
    state = raw()
    with pytest.raises((TypeError, ValueError, BufferError)):
        getattr(state, method)(token_T)
    state.accept(tokens([0, 1]))
    assert state.accepted == 2


@pytest.mark.parametrize(
    "saved", [None, "NGR1", 5, [1], np.zeros(2, np.uint16), memoryview(bytes(9))[::2]]
)
def test_the_compiled_state_loads_bytes_alone(saved):
    state = raw()
    state.accept(tokens([0, 1]))
    with pytest.raises((TypeError, ValueError, BufferError)):
        state.load(saved)
    assert state.accepted == 2


def test_the_compiled_state_keeps_the_arrays_that_it_writes_to():
    arguments = given_raw()
    state = counts.compiled.Ngram(*arguments)
    for output in arguments[-4:]:
        with pytest.raises(ValueError, match="resize"):
            output.resize((1, 1))
    del arguments, output
    state.look(tokens([0, 1, 2, 0]))
    state.accept(tokens([0, 1, 2, 0]))
    assert state.accepted == 4
    with pytest.raises(TypeError):
        copy.copy(state)


def test_the_compiled_state_copies_the_tables_of_tokens():
    arguments = given_raw()
    state, other = counts.compiled.Ngram(*arguments), raw()
    for table in arguments[1:4]:
        table[:] = 0
    for one in (state, other):
        one.accept(tokens([0, 1, 2, 0]))
    assert state.save() == other.save()


# Threads.


def large_state() -> tuple[Counts, np.ndarray]:
    vocabulary = spoken("| _a b _c d . _e f")
    state = Counts(
        THREE, vocabulary.tables(), table_bytes=1 << 20, block_tokens=1 << 17, use_compiled=True
    )
    return state, np.random.default_rng(0).integers(0, 8, 1 << 17).astype(np.uint16)


def test_python_goes_on_while_a_state_works_and_a_second_thread_is_turned_away():
    # That a state is found in use is the proof: were the interpreter held, nobody could ask in the meantime.
    state, stream_T = large_state()
    ready, done = threading.Event(), threading.Event()

    def work():
        while not done.is_set():
            for question_T in (stream_T, stream_T[::-1].copy()):
                try:
                    state.look(question_T)
                except RuntimeError:  # the other thread was just asking
                    continue
            ready.set()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        ready.wait()
        with pytest.raises(RuntimeError, match="another thread"):
            ask_until_refused(state)
    finally:
        done.set()
        worker.join()
    assert state.accepted == 0
    state.accept(stream_T)
    assert state.accepted == len(stream_T)


def ask_until_refused(state: Counts) -> None:
    while True:  # a hang is a failure: the suite has a time limit
        assert state.accepted == 0


def test_threads_that_share_a_state_never_corrupt_it():
    state, stream_T = large_state()
    accepted, problems = [], []

    def accept(block_T):
        state.accept(block_T)
        accepted.append(len(block_T))

    uses = [state.look, accept, lambda _: state.save(), lambda _: state.met]

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            first = int(rng.integers(0, len(stream_T) - 2_000))
            try:
                uses[rng.integers(4)](stream_T[first : first + 2_000])
            except RuntimeError:  # turned away
                continue
            except BaseException as problem:
                problems.append(problem)

    in_threads([lambda: work(0), lambda: work(1), lambda: work(2)])
    assert not problems
    assert state.accepted == sum(accepted)
    saved = state.save()
    state.load(saved)
    assert state.save() == saved


def in_threads(works) -> None:
    workers = [threading.Thread(target=work) for work in works]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_each_thread_with_a_state_of_its_own_counts_as_one_alone():
    found: list[bytes] = []

    def work():
        state, stream_T = large_state()
        for first in range(0, 1 << 16, 1 << 14):
            state.accept(stream_T[first : first + (1 << 14)])
        found.append(state.save())

    in_threads([work, work])
    work()
    assert len(found) == 3
    assert len(set(found)) == 1
