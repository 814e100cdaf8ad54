"""Whole results to render: one of each kind, one of two commits with every status, one hostile, one empty.

Built in code; every figure is made up.
"""

from __future__ import annotations

import msgspec

from checks.contract import Finding, Status
from harness.report.from_run import result_of_run
from harness.report.model import RulesetFacts
from harness.report.result import (
    EXIT_CODES,
    Commits,
    Entry,
    Judgement,
    NotChecked,
    Note,
    Place,
    Result,
    conclude,
    over,
)
from tests.harness.report import samples

RULESET = RulesetFacts(
    name="parameter-golf", version="1", title="Parameter golf, as written", sha256="3f" * 32
)
MARKDOWN = (
    "[x](https://evil.example) ![i](//evil.example/p.png) <https://evil.example>",
    "# head\n- item\n1. one\n> quote\n    code",
    "| a | b |\n|---|---|",
    "@everyone @org/team user@evil.example #123 org/repo#7 GH-9 !5",
    "www.evil.example http://evil.example ftp://evil.example mailto:a@evil.example",
    "`code` ``` *em* **strong** __both__ ~~gone~~ $x^2$ $$y$$ :boom: :100:",
    "<img src=x onerror=alert(1)><!-- --><details>&copy; &#64;all",
    "[^1] [^1]: note\n[ref]: https://evil.example\n- [x] task\n===\n---",
    "0123456789abcdef0123456789abcdef01234567 deadbee1",
    "\\[x\\](https://evil.example) \\@me \\",
    "]]></failure><testcase/> %0A::error::x ::stop-commands::y \ufffe\uffff {0}",
    "</script></details></table>",
)
HOSTILE = (*samples.HOSTILE, *MARKDOWN, "long/" * 800 + "name.py")
"""What must not act anywhere, for a terminal, the log of a CI job, HTML, Markdown, XML, JSON and SARIF."""


def finding(check: str, status: Status, message: str, **more: object) -> Finding:
    return Finding(id=check, status=status, message=message, **more)  # type: ignore[arg-type]


def entry(kind: str, name: str, *judgements: Judgement, **more: object) -> Entry:
    verdict, message = conclude(judgements)
    made = {"verdict": verdict, "message": message, "judgements": judgements, **more}
    return Entry(kind=kind, name=name, **made)  # type: ignore[arg-type]


def result(command: str, *entries: Entry, **more: object) -> Result:
    verdict, message = over(entries)
    made = {
        "harness_version": "0.1.0",
        "created_utc": "2026-11-26T10:00:00Z",
        "verdict": verdict,
        "message": message,
        "exit_code": EXIT_CODES[verdict],
        "entries": entries,
        **more,
    }
    return Result(command=command, **made)  # type: ignore[arg-type]


def gate() -> Result:
    """A pull request with every status, notes, what was not checked, and facts."""
    change = entry(
        "pull request",
        "8520a3f41c7d...dd99dc4b0e12",
        Judgement(
            finding=finding("gate.scope", Status.PASS, "7 files below 2 folders"), required=True
        ),
        Judgement(
            finding=finding(
                "gate.size",
                Status.PASS,
                "64,112 bytes are added",
                measured=64_112,
                limit=50_000_000,
                unit="bytes",
            ),
            required=True,
        ),
    )
    commits = Commits(
        base="8520a3f" + "4" * 33, merge_base="9ac1fb1" + "5" * 33, head="dd99dc4" + "6" * 33
    )
    return result("gate", change, _submission(), _record(), ruleset=RULESET, commits=commits)


def _submission() -> Entry:
    return entry(
        "submission",
        "submissions/tilted-transformer",
        Judgement(finding=finding("time.setup", Status.PASS, "setup took 1.2 s of 120 s", measured=1.2,
                                  limit=120.0, unit="s"), required=True),
        Judgement(finding=finding("bytes.artifact", Status.NOT_RUN, "nothing was trained or sealed",
                                  limit=16_000_000, unit="bytes"), required=False),
        Judgement(finding=finding("norm.sum", Status.FAIL, "position 31: the row sums to 1.0213",
                                  measured=0.0213, limit=0.001),
                  required=True, place=Place(file="submissions/tilted-transformer/score.py", line=48)),
        Judgement(finding=finding("order.blind", Status.ERROR, "the scorer left after 3 frames"),
                  required=True),
        Judgement(finding=finding("repro.score", Status.FAIL, "2 blocks differ by up to 0.31 nats",
                                  measured=0.31, limit=0.25, unit="nats"), required=False),
        digest="a7" * 32,
        notes=(
            Note(id="source.target", message="a class of the token that is scored is looked up",
                 place=Place(file="submissions/tilted-transformer/score.py", line=31)),
            Note(id="source.network", message="opens a socket"),
        ),
        not_checked=(
            NotChecked(what="the score", why="nothing is trained here",
                       command="harness run submissions/tilted-transformer --ruleset parameter-golf"),
        ),
        facts={"scripts": "3 files, 31,874 bytes", "author": "Łukasz Ünïcode"},
    )  # fmt: skip


def _record() -> Entry:
    return entry(
        "record",
        "records/2026-04-03_SplitLR",
        Judgement(finding=finding("claims.score", Status.PASS, "submission.json:5 claims 1.1078",
                                  measured=1.107846, limit=1.1078, unit="bits/byte"),
                  required=True, place=Place(file="records/2026-04-03_SplitLR/submission.json", line=5)),
        Judgement(finding=finding("claims.code", Status.NOT_RUN, "there is no script"), required=True),
        not_checked=(NotChecked(what="the scores themselves", why="an audit runs nothing", command=""),),
    )  # fmt: skip


def run() -> Result:
    return result_of_run(samples.passing())


def died() -> Result:
    return result_of_run(samples.died())


def check() -> Result:
    """One submission that may be run; advice does not decide."""
    tried = _submission()
    kept = [
        each for each in tried.judgements if not each.required or each.finding.status is Status.PASS
    ]
    made = entry("submission", ".", *kept, notes=tried.notes, not_checked=tried.not_checked)
    return result("check", made, ruleset=RULESET)


def audit() -> Result:
    return result("audit", _record())


def empty() -> Result:
    """Nothing was judged, and one entry with a verdict that no finding explains."""
    alone = Entry(
        kind="submission", name="", verdict=Status.ERROR, message="the judge failed", judgements=()
    )
    return result("check", alone)


def nothing() -> Result:
    return result("gate")


def hostile() -> Result:
    """Every word is one of HOSTILE."""
    entries = []
    for index, text in enumerate(HOSTILE):
        other = HOSTILE[(index * 7 + 3) % len(HOSTILE)]
        statuses = list(Status)
        judgements = [
            Judgement(
                finding=Finding(
                    id=text, status=status, message=other, measured=index, limit=2.0, unit=text
                ),
                required=number % 2 == 0,
                place=Place(file=other, line=index),
            )
            for number, status in enumerate([*statuses, statuses[index % 4]])
        ]
        entries.append(
            entry(
                ("submission", "record", "run", "pull request")[index % 4],
                text,
                *judgements,
                message=other,
                digest=text,
                notes=(Note(id=text, message=other, place=Place(file=text)),),
                not_checked=(NotChecked(what=text, why=other, command=text),),
                facts={text: other},
            )
        )
    rules = msgspec.structs.replace(RULESET, name=HOSTILE[0], version=HOSTILE[3])
    return result(
        "gate",
        *entries,
        message=HOSTILE[2],
        created_utc=HOSTILE[4],
        harness_version=HOSTILE[0],
        ruleset=rules,
        commits=Commits(base=HOSTILE[1], merge_base=HOSTILE[15], head=HOSTILE[6]),
    )


GOLDEN = (gate, run, check, audit)
ALL = (gate, run, died, check, audit, empty, nothing, hostile)
