"""Which file a command line starts; where that is hard to say, it is not guessed."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.preflight.starts import Start, start_of

RUN = "torch.distributed.run"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python train.py", Start(file="train.py")),
        ("python3 -u train.py --fast", Start(file="train.py")),
        ("python3.11 -X utf8 -W error a/b.py", Start(file="a/b.py")),
        ("/usr/bin/python -Xutf8 -Werror a.py -m x", Start(file="a.py")),
        ("python -m mine.train --m other", Start(module="mine.train")),
        ("python -um mine.train", Start(module="mine.train")),
        ("python -ummine.train", Start(module="mine.train")),
        ("python --check-hash-based-pycs never a.py", Start(file="a.py")),
        (f"python -m {RUN} --standalone --nproc-per-node=8 -m mine", Start(module="mine", launcher=RUN)),
        (f"python -m {RUN} --nnodes 1 --nproc_per_node 8 a.py --m x", Start(file="a.py", launcher=RUN)),
        ("torchrun --standalone train.py", Start(file="train.py", launcher=RUN)),
        ("torchrun --module --nproc-per-node gpu mine", Start(module="mine", launcher=RUN)),
    ],
)  # fmt: skip
def test_what_is_started(command, expected):
    assert start_of(command.split()) == expected


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("bash run.sh", "starts bash, which is not Python"),
        ("env A=1 python train.py", "starts env, which is not Python"),
        ("./train", "starts ./train, which is not Python"),
        ("python", "without a file"),
        ("python -", "standard input"),
        ("python -m", "no module after -m"),
        ("python -c print()", "on its command line"),
        ("python -uc print()", "on its command line"),
        ("python /opt/train.py", "which is not a file of the submission"),
        ("torchrun --no-python ./train", "another program than Python"),
        ("torchrun --standalone", "no file to start"),
    ],
)
def test_what_is_not_guessed(command, why):
    found = start_of(command.split())
    assert not found.file
    assert not found.module
    assert why in found.unread


FLAGS = st.lists(
    st.sampled_from(["-u", "-B", "-OO", "-Xutf8", "-X utf8", "-W ignore", "-Bu"]), max_size=3
)
ENDS = st.sampled_from(["a.py", "-m a", "-ma", "-Bm a", "a.py -m b", "-c pass", "-Bcpass"])


@given(flags=FLAGS, end=ENDS)
def test_options_of_python_are_read_as_python_reads_them(flags, end):
    """The oracle is Python's own: what is left of its arguments, and how it was started."""
    words = " ".join([*flags, end]).split()
    found = start_of(["python", *words])
    expected = (
        ("", "")
        if "c" in end.partition("a.py")[0]
        else ("a.py", "")
        if end.startswith("a.py")
        else ("", "a")
    )
    assert (found.file, found.module) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-Xutf8 -W ignore s.py", "file"),
        ("-Bum s", "module"),
        ("-ms", "module"),
        ("-W ignore -Bum s -c x", "module"),
    ],
)
def test_python_agrees(tmp_path, words, said):
    (tmp_path / "s.py").write_text("print('module' if __spec__ else 'file')")
    done = subprocess.run(
        [sys.executable, *words.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == [said]
    found = start_of(["python", *words.split()])
    assert bool(found.module) == (said == "module")
    assert bool(found.file) == (said == "file")
