"""What a submission leaves behind, in number, depth, size and name: none of it is counted, hidden or kept.

Every test ends with the claim of conftest.py: the machine is as it was.
"""

import base64
import importlib.util
import os
import subprocess
import sys
import zlib

import pytest

from harness.clock import Stopwatch
from harness.errors import EXIT_PASS, EXIT_RULE_BROKEN, EXIT_USAGE
from harness.sandbox.deletion import delete
from tests import machines
from tests.faults.minis import mini, rules

NAMES = [
    "plain",
    "sp ace",
    "new\nline",
    "tab\tbell\a",
    "\x1b[31mred\x1b[0m",
    "-rf",
    "'\"`$(touch x)`;|&",
    "..hidden",
    "é composed",
    "é decomposed",
    "日本語",
    "\U0001f4a3",
    "\u202etxt.exe",
    "\ufeffmark",
    "%00%2f",
    "\\\\host\\share",
    "CON",
    "x" * 255,
    "ü" * 127,
]
"""File names as text; `encoded` adds those that no text stands for."""
BYTES = [
    b"latin \xe9\xff",
    b"utf16 \xff\xfed\xd8",
    b"broken \xc3",
    b"\xed\xa0\x80 surrogate",
    b"\x01\x02\x7f",
]


def encoded():
    return [name.encode() for name in NAMES] + BYTES


WRITES_NAMES = f"""
names = {encoded()!r}
for folder in FOLDERS:
    for name in names:
        os.mkdir(os.path.join(os.fsencode(folder), b"in " + name[:250]))
        for place in (os.fsencode(folder), os.path.join(os.fsencode(folder), b"in " + name[:250])):
            with open(os.path.join(place, name), "wb") as file: file.write(b"x")
"""
MANY = """
for number in range(100_000):
    os.close(os.open(f"{FOLDER}/{number}", os.O_CREAT | os.O_WRONLY))
"""
DEEP = """
os.chdir(FOLDER)
for depth in range(1_000):
    os.mkdir("down" * 5)
    os.chdir("down" * 5)
    if depth % 100 == 0: open("file", "w").close()
os.chdir("/")
"""
CLOSED = """
for name in ("a", "a/b", "a/b/c"):
    os.mkdir(FOLDER + "/" + name)
    open(FOLDER + "/" + name + "/file", "w").close()
for name in ("a/b/c", "a/b", "a", ""):
    os.chmod(FOLDER + "/" + name, 0)
"""
LINKS = """
for name, target in (("root", "/"), ("up", "../../.."), ("self", "self"), ("data", "/etc/passwd")):
    os.symlink(target, FOLDER + "/" + name)
os.mkfifo(FOLDER + "/pipe")
import socket as sockets
sockets.socket(sockets.AF_UNIX).bind(FOLDER + "/socket"[:90])
os.link(FOLDER + "/pipe", FOLDER + "/pipe again")
"""
HOME, TMPDIR = "os.environ['HOME']", "os.environ['TMPDIR']"


def everywhere(code):
    """Do it in each folder that a phase may write to."""
    train = f"for FOLDER in (out, {HOME}, {TMPDIR}):\n" + _indented(code)
    score = f"for FOLDER in ({HOME}, {TMPDIR}):\n" + _indented(code)
    return {"train": train, "load": score}


def _indented(code):
    return "".join(f"    {line}\n" for line in code.strip().splitlines())


@pytest.mark.parametrize("code", [DEEP, CLOSED], ids=["deep", "closed"])
def test_what_is_hard_to_delete_is_deleted(bench, quick, tmp_path, code, level):
    kinds = everywhere(code)
    if code is CLOSED:  # the output itself is to be written to
        kinds["train"] = kinds["train"].replace('"a", "")', '"a")')
    ended = bench.judge(mini(tmp_path / "mine", **kinds), quick, level)
    assert ended.status == EXIT_PASS, ended.err


@pytest.mark.parametrize("elsewhere", machines.ROWS[:2], indirect=True)
@pytest.mark.parametrize("code", [DEEP, CLOSED], ids=["deep", "closed"])
def test_it_is_deleted_without_privileges_too(elsewhere, code):
    """Root deletes what its mode forbids; most people are not root, and their cells may be."""
    kinds = everywhere(code)
    if code is CLOSED:
        kinds["train"] = kinds["train"].replace('"a", "")', '"a")')
    ended = elsewhere.judge(mini(elsewhere.place / "mine", **kinds), rules(elsewhere.place))
    assert ended.status == EXIT_PASS, ended.err
    assert elsewhere.left() == []


def test_links_pipes_and_sockets_lead_nowhere(bench, quick, tmp_path):
    # A socket's name has a hundred bytes at most; the folder's own is longer.
    code = LINKS.replace("sockets.socket", "os.chdir(FOLDER); sockets.socket").replace(
        'FOLDER + "/socket"[:90]', '"socket"'
    )
    ended = bench.judge(mini(tmp_path / "mine", **everywhere(code)), quick)
    assert ended.status == EXIT_PASS, ended.err


@pytest.mark.parametrize("output", ["root/passwd", "root", "data", "pipe", "self"])
def test_a_declared_file_that_is_a_link_or_a_pipe_is_refused(bench, quick, tmp_path, output):
    code = LINKS.split("import socket")[0]
    submission = mini(tmp_path / "mine", train="FOLDER = out\n" + code, output=("none.bin", output))
    ended = bench.judge(submission, quick)
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    assert f"output {output}: is " in ended.findings("FAIL")["bytes.artifact"]


def test_a_hundred_thousand_files(bench, quick, tmp_path):
    """In the output, of which one is declared, and where temporary files go, which the judge deletes."""
    code = f"for FOLDER in (out, {TMPDIR}):\n" + _indented(MANY.replace("100_000", "50_000"))
    ended = bench.judge(mini(tmp_path / "mine", train=code), quick)
    assert ended.status == EXIT_PASS, ended.err
    assert len(ended.report["seeds"][0]["artifact_files"]) == 3


def test_a_hundred_thousand_files_are_deleted_in_seconds(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100_000):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY))
    watch = Stopwatch()
    delete(folder)
    assert watch.elapsed_s < 20.0
    assert not folder.exists()


@pytest.mark.parametrize("declared", [True, False])
def test_ten_gigabytes_that_are_a_hole(bench, tmp_path, declared):
    """Nobody reads them: refused where they are declared, nothing at all where they are not."""
    quick = rules(tmp_path, disk_bytes=20_000_000_000)
    code = "with open(out + '/hole.bin', 'wb') as file: file.truncate(10_000_000_000)"
    output = ("none.bin", "hole.bin") if declared else ("none.bin",)
    ended = bench.judge(mini(tmp_path / "mine", train=code, output=output), quick)
    if declared:
        assert ended.status == EXIT_RULE_BROKEN
        assert "output hole.bin: is sparse" in ended.findings("FAIL")["bytes.artifact"]
    else:
        assert ended.status == EXIT_PASS, ended.err
    assert ended.wall_s < 60.0


def test_a_hole_beyond_the_limit_of_one_file(bench, quick, tmp_path):
    code = "with open(out + '/hole.bin', 'wb') as file: file.truncate(10_000_000_000)"
    ended = bench.judge(mini(tmp_path / "mine", train=code), quick)
    assert ended.status == EXIT_RULE_BROKEN
    assert "File too large" in ended.findings("FAIL")["time.train"]


PACKED = (
    "c-lMv|9?G$3d5s~4n^<(|NQ@-zk$U;My%o8U;F?6|1(Zt=s3)DVekLv|Nq-F2r(2!FzovN|Ih#b><&x{"
    "eB2J-|IG)gV(?%%lF0bt-v7`4|I0IQHdyE|-2Gku@Be>h1xA5()&<r7&qFQQz)&)3$*3hm(Gq(A@n^2y"
)
"""A gigabyte of zeros as Brotli makes it at its ninth level, packed again by zlib and spelt in base 85."""


def test_a_bomb_of_packed_bytes_counts_as_what_it_is(bench, quick, tmp_path):
    """Eight hundred bytes: the judge unpacks nothing, ever."""
    bomb = zlib.decompress(base64.b85decode(PACKED))
    code = f"with open(out + '/bomb.br', 'wb') as file: file.write(bytes.fromhex('{bomb.hex()}'))"
    submission = mini(tmp_path / "mine", train=code, output=("none.bin", "bomb.br"))
    ended = bench.judge(submission, quick)
    assert ended.status == EXIT_PASS, ended.err
    files = {f["path"]: f["size_bytes"] for f in ended.report["seeds"][0]["artifact_files"]}
    assert files["bomb.br"] == len(bomb) == 809
    if importlib.util.find_spec("brotli") is not None:
        import brotli

        unpacking, size = brotli.Decompressor(), 0
        for at in range(len(bomb)):
            size += len(unpacking.process(bomb[at : at + 1]))
        assert size == 1 << 30


def test_names_in_every_encoding_where_a_phase_may_write(bench, quick, tmp_path, level):
    train = f"FOLDERS = (out, {HOME}, {TMPDIR})\n{WRITES_NAMES}"
    load = f"FOLDERS = ({HOME}, {TMPDIR})\n{WRITES_NAMES}"
    ended = bench.judge(mini(tmp_path / "mine", train=train, load=load), quick, level)
    assert ended.status == EXIT_PASS, ended.err


def test_names_in_every_encoding_in_the_submissions_folder(bench, quick, tmp_path):
    """Those that cannot be declared are not copied; the run can be resumed, and names them to nobody."""
    submission = mini(tmp_path / "mine")
    for number, name in enumerate(map(os.fsdecode, encoded())):
        inner = submission / os.fsdecode(b"in " + os.fsencode(name)[:250])
        inner.mkdir()
        for place in (submission, inner):
            if number % 2:
                (place / name).symlink_to("/etc/passwd")
            else:
                (place / name).write_bytes(b"x")
    ended = bench.judge(submission, quick)
    assert ended.status == EXIT_PASS, ended.err
    assert "\x1b" not in ended.err
    assert bench.resume(ended.run).verdict() == ended.verdict()
    copied = {path.name for path in (ended.run / "submission").iterdir()}
    assert {"plain", "é composed", "日本語"} <= copied
    assert all(name.isprintable() for name in copied)


def test_a_submission_that_is_nested_too_deep_is_refused_in_one_sentence(bench, quick, tmp_path):
    submission = mini(tmp_path / "mine")
    script = f"import os\nFOLDER = {str(submission)!r}\n{DEEP}"
    subprocess.run([sys.executable, "-c", script], check=True)
    ended = bench.judge(submission, quick)
    assert ended.status in (EXIT_USAGE, EXIT_PASS), ended.err
    assert "Traceback" not in ended.err
    assert [path for path in bench.out.iterdir() if path != ended.run] == []
    delete(submission)
