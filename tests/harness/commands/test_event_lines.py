"""Progress as JSON lines: complete, parseable, harmless, with the keys that docs/terminal.md names."""

import json
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.contract import Outcome
from harness.commands import event_lines
from harness.commands.event_lines import EventLines, note
from harness.commands.watched import Facts, Watched
from tests.harness.commands.moments import CONTEST, HOSTILE, asked, over
from tests.judged import ROOT, judge

HEAD = "schema event at_s"
WHICH = f"{HEAD} seed phase budget_s"
QUESTIONS = "round planned answered worst_gap_nats"
KEYS = {
    "run": f"{HEAD} run_id folder submission ruleset seeds finished_phases baseline_nats_per_token "
    "target_nats_per_token",
    "phase": WHICH,
    "progress": f"{WHICH} used_s left_s clock_runs tokens total_tokens tokens_per_s eta_s nats_per_token "
    f"{QUESTIONS}",
    "ended": f"{WHICH} grace_s wall_s outcome detail peak_rss_mb tokens total_tokens nats_per_token "
    f"{QUESTIONS}",
    "note": f"{HEAD} text",
    "over": f"{HEAD} interrupted",
}


def parsed(text):
    """Return the events of a text; check what holds of every line."""
    assert text.isascii()
    assert text.endswith("\n")
    events = []
    for line in text.split("\n")[:-1]:
        assert line.isprintable()
        event = json.loads(line, parse_constant=lambda name: pytest.fail(name))
        assert list(event) == KEYS[event["event"]].split()
        assert event["schema"] == 1
        events.append(event)
    moments = [event["at_s"] for event in events]
    assert moments == sorted(moments)
    return events


def told(capsys, tell, facts=CONTEST):
    """Return what is written of what is told."""
    with EventLines(facts) as writer:
        tell(Watched(facts, writer.put))
    return parsed(capsys.readouterr().err)


def test_a_run_is_told_from_its_start_to_its_end(capsys):
    def tell(view):
        view.phase(1337, "score", 600.0)
        view.progress(1_000, 4_000, nats_per_token=1.9)
        view.note("a remark")
        view.ended(1337, over("score", 3.0))
        view.phase(1337, "challenge", 1800.0)
        view.progress(4_000, 4_000, questions=asked(2))
        view.ended(1337, over("challenge", 5.0, 1800.0, Outcome.DEADLINE, "too late"))

    events = told(capsys, tell)
    assert [event["event"] for event in events] == [
        "run", "phase", "note", "ended", "phase", "ended", "over",
    ]  # fmt: skip
    run, phase, remark, ended, _, challenged, end = events
    assert (run["submission"], run["ruleset"]) == ("A submission", "parameter-golf")
    assert (run["seeds"], run["finished_phases"]["42"]) == ([1337, 42, 2025], [])
    assert (run["baseline_nats_per_token"], run["target_nats_per_token"]) == (1.8829, 1.8779)
    assert (phase["seed"], phase["phase"], phase["budget_s"]) == (1337, "score", 600.0)
    assert remark["text"] == "a remark"
    assert (ended["outcome"], ended["wall_s"], ended["detail"]) == ("done", 3.0, "")
    assert (ended["tokens"], ended["total_tokens"], ended["nats_per_token"]) == (1_000, 4_000, 1.9)
    assert ended["planned"] is ended["round"] is None
    assert (challenged["outcome"], challenged["detail"]) == ("deadline", "too late")
    assert challenged["round"] == 2
    assert challenged["answered"] == {"blind": 210, "future": 6, "target": 3, "repeat": 1}
    assert challenged["worst_gap_nats"] == 0.00123
    assert end["interrupted"] is False


def test_an_exception_interrupts(capsys):
    with pytest.raises(KeyboardInterrupt), EventLines(CONTEST):
        raise KeyboardInterrupt
    assert parsed(capsys.readouterr().err)[-1]["interrupted"] is True


def test_progress_comes_now_and_then_and_between_its_phases_events(capsys, monkeypatch):
    monkeypatch.setattr(event_lines, "EVERY_S", 0.2)
    monkeypatch.setattr(EventLines, "every_s", 0.05)

    def tell(view):
        for phase in ("train", "score"):
            view.phase(42, phase, 600.0)
            for done in range(10):
                if phase == "score":
                    view.progress(100 * (done + 1), 4_000, nats_per_token=1.9)
                time.sleep(0.05)
            view.ended(42, over(phase, 0.5))
            time.sleep(0.3)

    events = told(capsys, tell)
    going, moments = None, []
    for event in events:
        if event["event"] == "phase":
            going, moments = event["phase"], [event["at_s"]]
        elif event["event"] == "ended":
            going = None
        elif event["event"] == "progress":
            assert event["phase"] == going
            assert event["at_s"] - moments[-1] >= 0.199
            moments.append(event["at_s"])
            assert event["used_s"] + event["left_s"] == pytest.approx(600.0, abs=0.01)
            assert event["clock_runs"] is True
    trained = [e for e in events if e["event"] == "progress" and e["phase"] == "train"]
    scored = [e for e in events if e["event"] == "progress" and e["phase"] == "score"]
    assert trained
    assert {e["tokens"] for e in trained} == {e["eta_s"] for e in trained} == {None}
    assert scored
    assert all(0 < e["tokens"] < 4_000 and e["tokens_per_s"] > 0 and e["eta_s"] > 0 for e in scored)


def test_the_documented_keys_are_these():
    page = (ROOT / "docs" / "terminal.md").read_text("utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.M))
    for event, keys in KEYS.items():
        written = re.findall(r"`(\w+)`", table[event])
        assert written == [key for key in keys.split() if key not in HEAD.split()], event


@given(st.text(), st.text(), st.text())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_words_are_one_line_of_ascii(capsys, name, detail, remark):
    def tell(view):
        view.phase(1, "train", 600.0)
        view.ended(1, over("train", 1.0, outcome=Outcome.EXITED, detail=detail))
        view.note(remark)

    assert len(told(capsys, tell, Facts(name=name, ruleset=name, seeds=(1,)))) == 5


def test_hostile_words_command_nobody(capsys):
    def tell(view):
        view.phase(1, "train", 600.0)
        view.ended(1, over("train", 1.0, outcome=Outcome.EXITED, detail=HOSTILE))

    with EventLines(Facts(name=HOSTILE, ruleset=HOSTILE, seeds=(1,))) as writer:
        tell(Watched(CONTEST, writer.put))
    text = capsys.readouterr().err
    parsed(text)
    assert not re.search(r"::|##\[|(?<!\\)\\u001b|(?<!\\)\\u202e", text)
    assert "\\\\x1b[2J" in text


def test_a_remark_before_a_run_is_such_a_line_too():
    (event,) = parsed(note("first\nsecond", 12.3456) + "\n")
    assert (event["at_s"], event["text"]) == (12.346, "first\\nsecond")


def test_a_whole_run_is_json_and_nothing_else_on_stderr(asked, tmp_path):
    out = tmp_path / "runs"
    done = judge(*asked, "--seeds", "1", "--progress", "json", "--json", "--out", out, cwd=ROOT)
    events = parsed(done.stderr)
    (folder,) = (path for path in out.iterdir() if (path / "run.json").exists())
    report = json.loads(done.stdout)
    assert [(e["event"], e.get("phase")) for e in events if e["event"] != "progress"] == [
        ("run", None),
        *(
            (event, time["phase"])
            for time in report["seeds"][0]["phases"]
            for event in ("phase", "ended")
        ),
        ("over", None),
    ]
    assert (events[0]["run_id"], events[0]["folder"]) == (folder.name, str(folder))
    ends = [event for event in events if event["event"] == "ended"]
    for event, time_ in zip(ends, report["seeds"][0]["phases"], strict=True):
        assert {key: event[key] for key in time_} == time_
    scored = ends[3]
    assert scored["tokens"] == scored["total_tokens"] == report["seeds"][0]["tokens"]
    assert scored["nats_per_token"] == pytest.approx(report["seeds"][0]["nats_per_token"])
    assert ends[4]["answered"] == ends[4]["planned"] == report["seeds"][0]["challenges"]
