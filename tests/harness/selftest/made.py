"""A corpus made for a test: entries around the submission that starts in milliseconds."""

from pathlib import Path

from tests.judged import uniform

CAUGHT = """
says = "Leaves more than the cap."
source = ["a test"]
caught_by = ["bytes.artifact"]

[messages]
"bytes.artifact" = 'over the cap'
"""
LEGAL = """
says = "Knows nothing."
source = ["a test"]
"""


def with_key(line: str) -> str:
    """Return CAUGHT with one more key."""
    return CAUGHT.replace("[messages]", f"{line}\n[messages]")


def entry(corpus: Path, name: str, expected: str, *, cheat: str = "", honest: str = "") -> Path:
    """Make an attack of the quickest submission, `cheat` and `honest` being what is put after its last line.

    Without `cheat` there is none. `OVER` is the cheat that CAUGHT describes, `CRASH` one that never scores.
    """
    folder = corpus / name
    folder.mkdir(parents=True)
    (folder / "expected.toml").write_text(expected, "utf-8")
    for which, code in (("cheat", cheat), ("honest", honest)):
        if which == "honest" or code:
            submission = uniform(folder / which)
            path = submission / "uniform.py"
            path.write_text(path.read_text("utf-8") + code, "utf-8")
    return folder


OVER = f"\n# {'x' * 200_000}\n"
SAME = "\n"
CRASH = "\nsys.exit('stopped: \\x1b[31m::error::here')\n"
