"""Imports followed from file to file: nobody is accused of what works, and what cannot work is found."""

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import submission_imports
from checks.contract import Status
from harness import manifest, packages, ruleset
from harness.packages import Missing, Pinned
from harness.preflight.imports import scan
from harness.preflight.lookup import provided
from tests.judged import ROOT

NOTHING = provided(Pinned(packages=(), missing=()), ("native",))
MANIFEST = """
schema = 1
name = "x"
{package}
[train]
command = {train}
{env}
[artifact]
code = {code}
output = {output}
[score]
command = {score}
block_tokens = 1
"""


def read(
    folder, files, *, train="train.py", score="train.py", package="", available=NOTHING, **given
):
    """Write files, and a manifest whose commands are these words after `python`; return the scan."""
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    words = {"train": train, "score": score}
    commands = {
        key: str(
            value.split() if " " in value and value.startswith("!") else ["python", *value.split()]
        )
        for key, value in words.items()
    }
    commands = {key: value.replace("'!', ", "") for key, value in commands.items()}
    text = MANIFEST.format(
        package=f'package = "{package}"' if package else "",
        env=given.get("env", ""),
        code=str(given.get("code", [name for name in files if name.endswith(".py")])),
        output=str(given.get("output", [])),
        **commands,
    )
    Path(folder, "submission.toml").write_text(text)
    mine = manifest.parse(text, "submission.toml")
    return scan(Path(folder), frozenset([*files, "submission.toml"]), mine, available)


def judged(folder, files, **given):
    found = read(folder, files, **given).imports
    finding = submission_imports.check(found)
    return (
        str(finding.status),
        finding.message,
        [f"{each.file}:{each.line} {each.message}" for each in submission_imports.advice(found)],
    )


# --- the property: reading agrees with running ---

MODULES = ("a", "b", "pkg", "pkg.x", "pkg.y", "gone", "pkg.gone", "json")
SHAPES = (
    "import {m}",
    "from {m} import {n}",
    "try:\n    import {m}\nexcept ImportError:\n    pass",
    "def f():\n    import {m}",
    "if not 1:\n    import {m}",
    "from . import {n}",
    "from .{n} import z",
)
LINE = st.builds(
    lambda shape, m, n: shape.format(m=m, n=n),
    st.sampled_from(SHAPES),
    st.sampled_from(MODULES),
    st.sampled_from(["x", "y", "z", "gone"]),
)
TEXT = st.lists(LINE, max_size=3).map(lambda lines: "\n".join(["z = 1", *lines]) + "\n")
PLACES = ("a.py", "b.py", "pkg/__init__.py", "pkg/x.py", "pkg/y.py")


@settings(max_examples=40)
@given(
    main=TEXT,
    others=st.dictionaries(st.sampled_from(PLACES), TEXT),
    started=st.sampled_from(["main.py", "-m main"]),
)
def test_a_fail_is_a_stop_and_a_pass_without_advice_is_none(main, others, started):
    with tempfile.TemporaryDirectory() as folder:
        status, message, advice = judged(
            folder, {"main.py": main, **others}, train=started, score=started
        )
        done = subprocess.run(
            [sys.executable, "-S", *started.split()], cwd=folder, capture_output=True, text=True
        )
        stopped = "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr
        if status == "FAIL":
            assert stopped, message
        elif stopped and not advice:
            # What is asked of a plain module, or of a cycle, is no question of what is there.
            assert "cannot import name" in done.stderr, done.stderr


# --- what is found ---


def test_what_both_see(tmp_path):
    files = {
        "train.py": "import json, helper\nfrom harness import sdk\nimport native.counts",
        "helper.py": "import os",
    }
    assert judged(tmp_path, files) == ("PASS", "5 modules that 2 files import are there", [])


def test_a_module_that_was_left_out_of_the_artifact(tmp_path):
    files = {
        "train.py": "",
        "score.py": "import sys\n\n\nimport tables\n",
        "tables.py": "",
    }
    status, message, advice = judged(tmp_path, files, score="score.py", code=["score.py"])
    assert (status, advice) == ("FAIL", [])
    assert (
        message
        == "score.py:4: score imports tables, which is in the folder but not in artifact.code"
    )
    assert judged(tmp_path, files, score="score.py", code=["score.py", "tables.py"])[0] == "PASS"


def test_a_module_that_training_leaves_is_there(tmp_path):
    files = {
        "train.py": "",
        "score.py": "import made\nfrom made.inner import x\nfrom made import y",
    }
    output = ["made/__init__.py", "made/inner.py"]
    assert judged(tmp_path, files, score="score.py", code=["score.py"], output=output)[0] == "PASS"
    status, message, _ = judged(tmp_path, files, score="score.py", code=["score.py"])
    assert status == "FAIL"
    assert message.startswith("score.py:1: score imports made, which is neither")


def test_a_compiled_module_is_not_looked_into(tmp_path):
    files = {"train.py": "from fast import f\nimport fast.g", "fast.abi3.so": ""}
    status, _, _ = judged(tmp_path, files, code=["train.py", "fast.abi3.so"])
    assert status == "FAIL"  # fast.g: a file that is no package
    assert judged(tmp_path, {"train.py": "from fast import f", "fast.abi3.so": ""},
                  code=["train.py", "fast.abi3.so"])[0] == "PASS"  # fmt: skip


def test_a_folder_gives_way_to_a_package_of_the_same_name(tmp_path):
    available = provided(Pinned(packages=(), missing=(_gap("datasets"),)), ())
    files = {"train.py": "import datasets", "datasets/notes.txt": ""}
    status, message, _ = judged(tmp_path, files, code=["train.py"], available=available)
    assert status == "NOT-RUN"
    assert "pip install 'datasets'" in message
    assert judged(tmp_path, files, code=["train.py", "datasets/notes.txt"])[0] == "PASS"
    files = {
        "train.py": "import json.decoder\nfrom os import path",
        "json/a.txt": "",
        "os/b.txt": "",
    }
    assert judged(tmp_path, files)[0] == "PASS"


def test_its_own_file_comes_before_python_s(tmp_path):
    files = {"train.py": "import random", "random.py": "import gone"}
    status, message, _ = judged(tmp_path, files)
    assert (status, message[:12]) == ("FAIL", "random.py:1:")
    # In the artifact it is not there, and Python's own is taken.
    files = {"train.py": "", "score.py": "import random", "random.py": "import gone"}
    assert judged(tmp_path, files, score="score.py", code=["score.py"])[0] == "PASS"


def test_a_package_started_from_beside_itself(tmp_path):
    files = {
        "__init__.py": "",
        "train.py": "from mine import parts\nfrom .parts import x\nfrom . import parts",
        "parts.py": "",
        "score.py": "from mine import train",
    }
    given = {"package": "mine", "train": "-m mine.train", "score": "-m mine.score"}
    assert judged(tmp_path, files, **given)[0] == "PASS"
    status, message, _ = judged(tmp_path, files, code=["__init__.py", "score.py"], **given)
    assert status == "FAIL"
    assert message.startswith(
        "score.py:1: score imports mine.train, which is in the folder but not"
    )


def test_a_name_that_the_package_has_is_no_module(tmp_path):
    files = {"train.py": "from pkg import thing", "pkg/__init__.py": "thing = 1"}
    assert judged(tmp_path, files)[0] == "PASS"
    files["pkg/__init__.py"] = "def __getattr__(name): ..."
    assert judged(tmp_path, files)[0] == "PASS"
    files["pkg/__init__.py"] = ""
    assert "imports pkg.thing, which its package does not have" in judged(tmp_path, files)[1]


def test_the_judge_is_not_there(tmp_path):
    for line in (
        "import harness.manifest",
        "from harness import manifest",
        "from harness.run import Run",
    ):
        status, message, _ = judged(tmp_path, {"train.py": line})
        assert status == "FAIL", line
        assert "which is the judge's own; of it, harness.sdk alone is there" in message
    assert (
        judged(tmp_path, {"train.py": "import harness\nfrom harness import __version__"})[0]
        == "PASS"
    )


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("gone.py", "submission.toml:6: train starts gone.py, which is not in the folder"),
        ("-m gone", "submission.toml:6: train starts gone, which is not in the folder"),
        ("-m gone.train", "submission.toml:6: train starts gone.train, which is not in the folder"),
    ],
)
def test_a_file_that_is_not_there_cannot_be_started(tmp_path, train, message):
    status, said, _ = judged(tmp_path, {"score.py": ""}, train=train, score="score.py")
    assert (status, said) == ("FAIL", message)


def test_a_scorer_that_was_not_declared_cannot_be_started(tmp_path):
    files = {"train.py": "", "score.py": ""}
    said = judged(tmp_path, files, score="score.py", code=["train.py"])[1]
    assert (
        said
        == "submission.toml:12: score starts score.py, which is in the folder but not in artifact.code"
    )


def test_a_file_that_is_not_python(tmp_path):
    status, message, _ = judged(tmp_path, {"train.py": "import part", "part.py": "x = 1\ndef (:\n"})
    assert status == "FAIL"
    assert message.startswith("part.py:2: train needs this file, which is not Python (line 2)")


# --- what the ruleset allows and this machine lacks ---


def _gap(name, requirement="", state="absent", version=""):
    return Missing(
        name=name, requirement=requirement or name, wanted_by="", state=state, version=version
    )


def test_an_allowed_package_that_is_not_installed(tmp_path):
    available = provided(Pinned(packages=(), missing=(_gap("flash-attn", "flash-attn>=2.8"),)), ())
    found = read(
        tmp_path, {"train.py": "import flash_attn.layers\nimport einops"}, available=available
    )
    finding = submission_imports.check(found.imports)
    assert finding.status is Status.NOT_RUN
    assert finding.message.endswith("install it: pip install 'flash-attn>=2.8'")
    assert "imports flash_attn.layers of flash-attn, which the ruleset allows" in finding.message
    assert len(found.lacking) == 2
    # What nobody asked for is not excused by it.
    assert judged(tmp_path, {"train.py": "import gone"}, available=available)[0] == "FAIL"


def test_another_version_than_the_ruleset_s(tmp_path):
    gap = _gap("torch", "torch>=2.11", "wrong version", "2.0")
    available = provided(Pinned(packages=(), missing=(gap,)), ())
    status, message, _ = judged(
        tmp_path, {"train.py": "import torch\nimport sympy"}, available=available
    )
    assert status == "NOT-RUN"
    assert "imports torch of torch 2.0: the ruleset asks for torch>=2.11" in message


def test_nobody_knows_what_a_package_that_is_not_installed_brings(tmp_path):
    available = provided(Pinned(packages=(), missing=(_gap("vast"),)), ())
    status, message, _ = judged(tmp_path, {"train.py": "import tiny"}, available=available)
    assert status == "NOT-RUN"
    assert "imports tiny which may come with vast" in message
    # What lies in the folder was meant, and is not in the artifact.
    files = {"train.py": "", "score.py": "import tiny", "tiny.py": ""}
    given = {"score": "score.py", "code": ["score.py"], "available": available}
    assert judged(tmp_path, files, **given)[0] == "FAIL"


def test_a_copy_in_the_folder_may_serve(tmp_path):
    available = provided(Pinned(packages=(), missing=(_gap("einops"),)), ())
    files = {
        "train.py": "import sys\nsys.path.append('lib')\nimport einops",
        "lib/einops/__init__.py": "",
    }
    status, _, advice = judged(tmp_path, files, available=available)
    assert status == "PASS"
    assert len(advice) == 1
    del files["lib/einops/__init__.py"]
    assert judged(tmp_path, files, available=available)[0] == "NOT-RUN"


# --- what is only said ---


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nsys.path.insert(0, 'lib')\nimport gone",
        "import subprocess\nsubprocess.run(['make'])\nimport gone",
        "from pathlib import Path\nPath('gone.py').write_text('')\nimport gone",
        "try:\n    import gone\nexcept ImportError:\n    gone = None",
        "def later():\n    import gone",
        "if fast:\n    import gone",
        "from .gone import x",
    ],
)
def test_what_may_be_is_advice(tmp_path, text):
    status, _, advice = judged(tmp_path, {"train.py": text})
    assert status == "PASS"
    assert advice


def test_what_one_command_may_reach_and_the_other_does_is_certain(tmp_path):
    files = {"train.py": "def f():\n    import part", "part.py": "import gone"}
    status, message, advice = judged(tmp_path, files, score="part.py")
    assert (status, advice) == ("FAIL", [])
    assert message.startswith("part.py:1: score imports gone")


def test_what_is_reached_only_perhaps_is_advice_too(tmp_path):
    files = {"train.py": "def f():\n    import part", "part.py": "import gone"}
    status, _, advice = judged(tmp_path, files)
    assert status == "PASS"
    assert advice == [
        "part.py:1 imports gone, which is neither the submission's nor the ruleset's nor Python's"
    ]
    files["train.py"] += "\nimport part"
    assert judged(tmp_path, files)[0] == "FAIL"


@pytest.mark.parametrize("train", ["! bash run.sh", "-c pass", "-m timeit", "/opt/x.py"])
def test_a_command_that_cannot_be_read(tmp_path, train):
    found = read(tmp_path, {"score.py": ""}, train=train, score="score.py").imports
    assert submission_imports.check(found).status is Status.NOT_RUN
    assert found.started[0].unread
    assert submission_imports.first(found) is None


def test_ranks_are_followed(tmp_path):
    available = provided(Pinned(packages=(), missing=(_gap("torch"),)), ())
    files = {"__init__.py": "", "train.py": "import gone", "score.py": ""}
    train = "-m torch.distributed.run --standalone --nproc-per-node=8 -m mine.train"
    found = read(
        tmp_path, files, package="mine", train=train, score="-m mine.score", available=available
    )
    said = [each.message for each in found.imports.doubtful]
    assert said[0].startswith("imports torch.distributed.run of torch")
    assert said[1].startswith("imports gone")


def test_its_own_path_of_modules(tmp_path):
    files = {"train.py": "import helper", "lib/helper.py": ""}
    assert judged(tmp_path, files)[0] == "FAIL"
    env = 'env = { PYTHONPATH = "./lib:/opt" }'
    assert judged(tmp_path, files, env=env, score="lib/helper.py")[0] == "PASS"
    files = {"train.py": "import helper", "helper/notes.txt": "", "lib/helper.py": "import gone"}
    given = {"env": env, "score": "lib/helper.py", "code": ["lib/helper.py"]}
    assert judged(tmp_path, files, **given)[1].startswith("lib/helper.py:1: train imports gone")


def test_a_file_that_speaks_of_cuda_is_named(tmp_path):
    files = {"train.py": "import part", "part.py": "\nx = 'cuda'", "other.py": "y = 'cuda'"}
    assert read(tmp_path, files).cuda == ("part.py", 2)
    assert read(tmp_path, {"train.py": ""}).cuda is None


def test_more_than_is_read_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.preflight.imports.MAX_CHARACTERS", 2_000)
    files = {"train.py": "import part", "part.py": f"x = '{'y' * 2000}'\nimport gone"}
    status, _, advice = judged(tmp_path, files)
    assert status == "PASS"
    assert advice == ["part.py:0 needs this file, which has more than is read of one submission"]


def test_long_words_are_no_burden(tmp_path):
    word = "a" * 400_000
    assert judged(tmp_path, {"train.py": f"x = '{word}'\n{word[:9]} = 1"})[0] == "PASS"


def test_the_reference_and_the_attacks_are_not_accused():
    """Of the submissions of this repository none imports what is not there at the top of a file."""
    rules = ruleset.load("smoke").ruleset
    pinned = packages.resolve(rules.environment.packages, packages.search_path())
    available = provided(pinned, rules.environment.project)
    places = [path.parent for path in (ROOT / "tests").glob("**/submission.toml")]
    places = sorted(path for path in places if path.name != "cheat")
    assert len(places) > 100
    for folder in (ROOT / "submission", *places):
        mine = manifest.load(folder)
        names = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
        finding = submission_imports.check(scan(folder, names, mine, available).imports)
        assert finding.status is not Status.FAIL, f"{folder}: {finding.message}"


@pytest.mark.parametrize(
    ("flags", "works"), [("-u", True), ("-I", False), ("-BP", False), ("-E", True)]
)
def test_python_may_be_told_not_to_look_beside_the_script(tmp_path, flags, works):
    files = {"train.py": "import helper, json", "helper.py": ""}
    status, message, _ = judged(tmp_path, files, train=f"{flags} train.py")
    assert (status == "PASS") == works
    assert works or "lies beside it, where -I or -P keep Python from looking" in message
    done = subprocess.run([sys.executable, "-S", flags, "train.py"], cwd=tmp_path, check=False)
    assert (done.returncode == 0) == works
