"""Submissions of a page that misbehave where they are told to, and rulesets to judge them by.

`mini` takes the quickest submission there is (tests/submissions/uniform) and puts lines into it: `start` as
each process begins, `train` with `out` as its folder, `load` before a scorer says `ready`, `score` before it
answers for its second accepted block, `challenge` before it answers `predict`, which the credited pass never
asks for.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from harness import machine
from tests.judged import QUICK, uniform

MARKS = {
    "judge = socket": "{start}\njudge = socket",
    "send(READY)": "if sys.argv[1] == 'score':\n{load}\nsend(READY)",
    "    Path(json": "{train}\n    Path(json",
    "    elif kind == PREDICT:\n": "    elif kind == PREDICT:\n{challenge}\n",
    "    else:\n        send(DONE)": "    else:\n        done = globals().get('done', 0) + 1\n"
    "        if done == 2:\n{score}\n        send(DONE)",
}


def mini(
    folder: Path,
    *,
    start: str = "",
    train: str = "",
    load: str = "",
    score: str = "",
    challenge: str = "",
    output: tuple[str, ...] = ("none.bin",),
    predict: bool = True,
) -> Path:
    """Write a submission to FOLDER that does this in these places; honest where it does nothing more."""
    places = {"start": start, "train": train, "load": load, "score": score}
    places["challenge"] = challenge
    depth = {"start": 0, "train": 4, "load": 4, "score": 12, "challenge": 8}
    filled = {
        name: textwrap.indent(textwrap.dedent(code).strip() or "pass", " " * depth[name])
        for name, code in places.items()
    }
    filled["train"] = "    out = json.loads(payload)['out']\n" + filled["train"]
    names = ", ".join(f'"{name}"' for name in output)
    uniform(folder, output=f"output = [{names}]", predict=f"predict = {str(predict).lower()}")
    path = folder / "uniform.py"
    text = path.read_text("utf-8")
    for old, new in MARKS.items():
        assert text.count(old) == 1, old
        for name, code in filled.items():
            new = new.replace(f"{{{name}}}", code)
        text = text.replace(old, new)
    path.write_text(
        text.replace("import array\n", "import array\nimport os\nimport signal\nimport time\n")
    )
    return folder


def rules(folder: Path, **changed: object) -> Path:
    """Write the quick ruleset to FOLDER/faults.toml: one round of few questions, and no package to hash.

    `changed` replaces fields by name; `memory_bytes` sets the fraction that comes to so much here.
    """
    if "memory_bytes" in changed:
        whole = machine.memory_bytes()
        assert whole is not None
        changed["memory_fraction"] = int(str(changed.pop("memory_bytes"))) / whole
    values = {
        "blind": 20,
        "max_rounds": 1,
        "baseline": '""',
        "packages": "[]",
        "answer_s": 5.0,
        **changed,
    }
    lines = QUICK.read_text("utf-8").splitlines()
    for field, value in values.items():
        at = [number for number, line in enumerate(lines) if line.split(" =")[0] == field]
        assert len(at) == 1, field
        lines[at[0]] = f"{field} = {value}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "faults.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
