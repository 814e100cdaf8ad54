"""Mini-submissions whose right verdict is known, whatever befalls their judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.minis import mini, rules

MEMORY_BYTES = 200 << 20
NATS = "array.array('d', [nats] * (len(payload) // 4)).tobytes()"
HOG = "hoard = []\nwhile True: hoard.append(bytearray(b'x') * (8 << 20))"
STALL = "while True: time.sleep(60)"
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        while True: time.sleep(60)
    os._exit(0)
os.wait()
"""
MESS = """
for depth in range(40):
    os.mkdir(b"\\xff d\\n" * 9)
    os.symlink("/", "link")
    for number in range(40): open(f"file {number}", "w").close()
    here = os.open(".", os.O_RDONLY)
    os.chdir(b"\\xff d\\n" * 9)
    os.fchmod(here, 0)
os.chdir("/")
"""
TALK = (
    "for _ in range(100): os.write(1, b'x' * (1 << 16)); os.write(2, b'\\x1b[2J::error::' * 4096)"
)
CHALLENGE = frozenset(("order.future", "order.blind", "norm.sum", "norm.target", "repro.score"))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One submission and what is right."""

    name: str
    fails: frozenset[str] = frozenset()
    """The checks of which some, and no other, FAIL; none for an honest one."""
    code: Mapping[str, str] = field(default_factory=dict)
    """What it does, by place (tests.faults.minis.mini)."""
    answers: str = NATS
    """What it says of a block of tokens."""
    output: tuple[str, ...] = ("none.bin",)
    tight: bool = False
    """Whether it needs budgets of a second and little memory, which an honest one might exceed here."""

    def write(self, folder: Path) -> Path:
        """Write the submission to a new folder."""
        path = mini(folder, **self.code, output=self.output) / "uniform.py"
        text = path.read_text("utf-8")
        assert text.count(NATS_IN_FULL) == 1
        path.write_text(text.replace(NATS_IN_FULL, self.answers))
        return folder


NATS_IN_FULL = 'array.array("d", [nats] * (len(payload) // 4)).tobytes()'


def _phases(name: str, code: str, fails: Mapping[str, str], *, tight: bool) -> list[Case]:
    return [
        Case(
            name=f"{name} in {place}",
            fails=CHALLENGE if place == "challenge" else frozenset(checks.split()),
            code={place: code},
            tight=tight,
        )
        for place, checks in fails.items()
    ]


HONEST = [
    Case(name="honest"),
    Case(
        name="lingers", code=dict.fromkeys(("start", "train", "load", "score"), "time.sleep(0.1)")
    ),
    Case(name="leaves a daemon", code={"load": DAEMON, "score": DAEMON}),
    Case(name="leaves a mess", code={"load": "os.chdir(os.environ['TMPDIR'])\n" + MESS}),
    Case(name="talks without end", code={"train": TALK, "load": TALK}),
]
EVERY = {
    "start": "time.setup",
    "train": "time.train",
    "load": "time.load",
    "score": "time.score score.complete",
    "challenge": "",
}
CHEATS = [
    *_phases("runs out of memory", HOG, EVERY, tight=True),
    *_phases("falls silent", STALL, EVERY, tight=True),
    *_phases("ends", "os._exit(3)", EVERY, tight=False),
    *_phases(
        "breaks the protocol", "judge.sendall(bytes(64))", {**EVERY, "train": ""}, tight=False
    ),
    Case(
        name="claims certainty",
        fails=CHALLENGE,
        answers="bytes(2 * len(payload))",
    ),
    Case(
        name="looks ahead",
        fails=CHALLENGE,
        answers="array.array('d', [nats * (0.7 if after % 2 else 1.0) for after in "
        "array.array('I', payload)[1:]] + [nats]).tobytes()",
    ),
    Case(
        name="says no number",
        fails=frozenset(("score.complete", "time.score")),
        answers="array.array('d', [math.nan] * (len(payload) // 4)).tobytes()",
    ),
    Case(
        name="hands over a link",
        fails=frozenset(("bytes.artifact",)),
        code={"train": "os.symlink('/etc/passwd', out + '/more')"},
        output=("none.bin", "more"),
    ),
    Case(
        name="hands over a hole",
        fails=frozenset(("bytes.artifact",)),
        code={"train": "with open(out + '/more', 'wb') as file: file.truncate(900_000_000)"},
        output=("none.bin", "more"),
    ),
    Case(
        name="hands over too much",
        fails=frozenset(("bytes.artifact",)),
        code={"train": "with open(out + '/more', 'wb') as file: file.write(bytes(300_000))"},
        output=("none.bin", "more"),
    ),
]
CHEATS = [case for case in CHEATS if case.fails]


def rulesets(folder: Path) -> dict[bool, Path]:
    """Write both rulesets; the key is `Case.tight`."""
    budgets = {f"{phase}_s": 2.0 for phase in ("setup", "train", "load", "score")}
    return {
        False: rules(folder / "wide"),
        True: rules(folder / "tight", **budgets, answer_s=1.0, memory_bytes=MEMORY_BYTES),
    }
