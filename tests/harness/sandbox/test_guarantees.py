"""What the judge says it holds, and what it admits it does not."""

from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Status
from harness.report.model import Guarantee
from harness.sandbox.guarantees import (
    KNOWN,
    STATES,
    Held,
    findings,
    guarantees,
    held,
    not_started,
    weakest,
)
from harness.sandbox.mechanisms import LEVELS, SCOPE_ABI
from tests import cells

GIBIBYTE = 1 << 30
names = st.lists(st.sampled_from([*KNOWN, "colour", "gpu"]), unique=True).map(tuple)
attempted = st.dictionaries(
    st.sampled_from(KNOWN), st.lists(st.sampled_from(["x could be read", "y"]), max_size=2)
)
records = st.builds(
    Held,
    level=st.sampled_from(LEVELS),
    own_users=st.booleans(),
    landlock_abi=st.integers(0, 9),
    group_version=st.integers(0, 2),
    memory_bytes=st.just(GIBIBYTE),
    loopback=st.booleans(),
    page_cache=st.sampled_from(["whole", "each", "none"]),
    worked=attempted,
)
lines = st.lists(
    st.builds(
        Guarantee,
        name=st.sampled_from(["a", "b", "c"]),
        state=st.sampled_from(STATES),
        means=st.text(max_size=3),
        required=st.booleans(),
    ),
    unique_by=lambda line: line.name,
)

STRONG = Held(
    level="namespaces",
    own_users=True,
    landlock_abi=7,
    group_version=2,
    memory_bytes=GIBIBYTE,
    loopback=False,
    page_cache="whole",
    worked={},
)


def states(required=(), **changed):
    record = Held(**{name: getattr(STRONG, name) for name in Held.__slots__} | changed)
    return {
        line.name: line.state for line in guarantees(record, required=required, train_hidden=True)
    }


def means(name, *, train_hidden=True, **changed):
    record = Held(**{field: getattr(STRONG, field) for field in Held.__slots__} | changed)
    found = guarantees(record, required=(), train_hidden=train_hidden)
    return next(line.means for line in found if line.name == name)


@given(records, names, st.booleans())
def test_a_required_guarantee_is_enforced_or_an_error(record, required, train_hidden):
    found = guarantees(record, required=required, train_hidden=train_hidden)
    assert [line.name for line in found] == list(dict.fromkeys((*KNOWN, *required)))
    assert {line.name for line in found if line.required} == set(required)
    assert all(line.means and line.state in STATES for line in found)
    errors = findings(found)
    assert {error.id for error in errors} == {
        f"sandbox.{line.name}" for line in found if line.required and line.state != "enforced"
    }
    assert all(error.status is Status.ERROR for error in errors)
    assert all("harness doctor" in error.message for error in errors)


@given(records, names)
def test_what_was_tried_and_worked_is_not_enforced_whatever_the_mechanism_says(record, required):
    for line in guarantees(record, required=required, train_hidden=True):
        says = record.worked.get(line.name)
        if says:
            assert line.state == "not enforced"
            assert all(one in line.means for one in says)


@given(names)
def test_nothing_that_was_not_started_is_held(required):
    found = not_started(required)
    assert {line.state for line in found} == {"not enforced"}
    assert len(findings(found)) == len(required)


@given(st.lists(lines, max_size=4))
def test_a_run_that_was_resumed_holds_what_all_its_machines_held(attempts):
    kept = weakest(attempts)
    every = [line for attempt in attempts for line in attempt]
    assert sorted(line.name for line in kept) == sorted({line.name for line in every})
    for line in kept:
        assert line in every
        assert all(
            STATES.index(line.state) <= STATES.index(other.state)
            for other in every
            if other.name == line.name
        )


def test_a_guarantee_that_this_judge_does_not_know_is_never_held():
    assert states(required=("gravity",))["gravity"] == "not enforced"


def test_train_data_with_a_path_is_admitted():
    assert "without a path" in means("files")
    assert "path can be found" in means("files", train_hidden=False)


def test_with_everything_everything_is_enforced():
    assert set(states().values()) == {"enforced"}


def test_bare_enforces_what_needs_no_mechanism_and_nothing_else():
    """Groups included: a process of the judge's user walks out of one."""
    for version in (0, 1, 2):
        found = states(level="bare", own_users=False, group_version=version)
        assert [name for name, state in found.items() if state == "enforced"] == ["clock"]
    assert states(level="bare", own_users=False, group_version=1)["memory"] == "best effort"


def test_memory_without_a_group_is_watched():
    assert states(group_version=0)["memory"] == "watched"
    assert "1.1 GB" in means("memory", group_version=1)


def test_loopback_without_a_network_namespace_opens_the_network():
    assert states(level="landlock", loopback=False)["network"] == "enforced"
    assert states(level="landlock", loopback=True)["network"] == "not enforced"
    assert states(loopback=True)["network"] == "enforced"


def test_processes_end_for_sure_by_a_group_a_user_or_a_scope():
    plain = {"level": "landlock", "own_users": False, "group_version": 0}
    assert states(**plain, landlock_abi=SCOPE_ABI)["processes"] == "enforced"
    old = plain | {"landlock_abi": SCOPE_ABI - 1}
    assert states(**old)["processes"] == "best effort"
    assert states(**old | {"own_users": True})["processes"] == "enforced"
    assert states(**old | {"group_version": 2})["processes"] == "enforced"
    assert states(**old | {"group_version": 1})["processes"] == "best effort"


def test_what_stays_in_the_page_cache_is_admitted():
    assert states(page_cache="none")["ipc"] == "best effort"
    assert states(level="landlock")["ipc"] == "best effort"


def test_the_record_is_of_the_sandbox_and_the_trial():
    box = cells.sandbox("bare")
    record = held(box, {"files": ["x"]}, loopback=True, page_cache="none")
    assert (record.level, record.own_users, record.loopback) == ("bare", False, True)
    assert record.memory_bytes == cells.LIMITS.memory_bytes
    assert record.worked == {"files": ["x"]}
