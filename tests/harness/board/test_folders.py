"""Which folders are runs, what they are called, and what becomes of one that does not verify."""

from types import SimpleNamespace

import pytest

from harness.board import folders
from harness.board.model import Key
from harness.errors import JudgeError, UsageError
from tests.harness.board.made import run

GOOD = (1.8691, 1.8683, 1.8700)


def laid_out(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "run.json").write_text("{}")
    return root


def test_runs_are_found_at_any_depth_and_named_without_the_machine_s_path(tmp_path):
    root = laid_out(tmp_path / "runs", "b", "a", "team/c", ".data/d")
    (root / "notes").mkdir()
    (root / "file").write_text("")
    (root / "link").symlink_to(laid_out(tmp_path / "outside", "e") / "e")
    (root / "a" / "seeds").mkdir()
    laid_out(root / "a" / "seeds", "inside")
    found = folders.find([root])
    assert [name for _, name in found] == ["runs/a", "runs/b", "runs/team/c"]
    assert [name for _, name in folders.find([root / "b", root])] == ["b", "runs/a", "runs/team/c"]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.mkdir(), "no run in there"),
        (lambda path: path.write_text(""), "not a folder"),
        (lambda path: None, "no such folder"),
        (lambda path: laid_out(path, "1/2/3/4/5"), "no run in there"),
    ],
)
def test_a_path_without_runs_is_refused(tmp_path, make, why):
    make(tmp_path / "x")
    with pytest.raises(UsageError, match=why):
        folders.find([tmp_path / "x"])


@pytest.fixture
def verifying(monkeypatch):
    """What `verify` finds of each folder, by its name: a verification, or an error to raise."""
    results = {}

    def verify(folder, keys, data):
        found = results[folder.name]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(folders, "verify", verify)
    plan = SimpleNamespace(data_digests={"train_text": "77" * 32})
    monkeypatch.setattr(folders, "read_plan_of", lambda folder: plan)
    return results


def verification(*, ok=True, signed_by=(), message=""):
    return SimpleNamespace(
        ok=ok, report=run("x", GOOD).report, signed_by=signed_by, message=message, findings=()
    )


def test_what_does_not_verify_is_left_out_with_the_reason(verifying, monkeypatch, tmp_path):
    monkeypatch.setattr(
        folders.signing, "public_key", lambda path: SimpleNamespace(keyid=f"id of {path.name}")
    )
    keys = [tmp_path / "a.pem", tmp_path / "b.pem"]
    verifying["good"] = verification(signed_by=("id of b.pem", "of nobody"))
    verifying["forged"] = verification(ok=False, message="not what it claims: verify.signature")
    verifying["broken"] = UsageError(f"{tmp_path / 'broken'}: no report; finish the run")
    verifying["odd"] = JudgeError("the evidence cannot be judged")
    verifying["hostile"] = OSError(36, "File name too long")
    given = [(tmp_path / name, f"runs/{name}") for name in verifying]
    kept, left_out = folders.check(given, keys, None)
    (good,) = kept
    assert (good.place, good.train_text_sha256) == ("runs/good", "77" * 32)
    assert good.signed_by == (Key(file="b.pem", keyid="id of b.pem"),)
    assert [(o.place, o.name, o.reason) for o in left_out] == [
        ("runs/forged", "x", "not verified: not what it claims: verify.signature"),
        ("runs/broken", None, "not verified: runs/broken: no report; finish the run"),
        ("runs/odd", None, "not verified: the evidence cannot be judged"),
        (
            "runs/hostile",
            None,
            "not verified: the judge failed on it: OSError: [Errno 36] File name too long",
        ),
    ]


def test_a_file_that_is_no_key_ends_it(desk, tmp_path):
    laid_out(tmp_path / "runs", "a")
    (tmp_path / "key.pem").write_text("no key")
    assert "key.pem" in desk.refuses("board", tmp_path / "runs", "--key", tmp_path / "key.pem")
    desk.refuses("board", tmp_path / "runs", "--data", tmp_path)
    desk.refuses("board", tmp_path / "nowhere")
    desk.refuses("board", tmp_path / "runs")
