"""What a submission's process starts with: a clean environment, and folders that are its own."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox.start import environment, own_folder, touch_devices

USER = 1_234_567_890
words = st.text("ABCXYZ_", min_size=1, max_size=8)


@given(st.dictionaries(words, words))
def test_the_environment_is_what_is_passed_on_and_what_the_judge_sets(passed):
    plain = environment(Path("/h"), Path("/t"), {})
    env = environment(Path("/h"), Path("/t"), passed)
    assert env == {**passed, **plain}


def test_nothing_of_the_judges_environment_comes_along(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PATH", "/somewhere/else")
    env = environment(Path("/p/home"), Path("/p/tmp"), {"CUDA_VISIBLE_DEVICES": "1"})
    assert "SECRET_TOKEN" not in env
    assert "/somewhere/else" not in env["PATH"]
    assert (env["HOME"], env["TMPDIR"], env["CUDA_VISIBLE_DEVICES"]) == ("/p/home", "/p/tmp", "1")
    assert not any(str(Path.home()) in value for name, value in env.items() if name != "PATH")


def test_caches_lie_in_the_phases_own_temporary_folder():
    env = environment(Path("/p/home"), Path("/p/tmp"), {})
    caches = [value for name, value in env.items() if "CACHE" in name]
    assert len(caches) >= 4
    assert all(value.startswith("/p/tmp/") for value in caches)


@pytest.mark.parametrize("name", ["HOME", "TMPDIR", "PATH", "PYTHONHASHSEED"])
def test_what_is_passed_on_never_replaces_what_the_judge_sets(name):
    plain = environment(Path("/h"), Path("/t"), {})
    assert environment(Path("/h"), Path("/t"), {name: "mine"}) == plain


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_a_folder_is_given_away_whole_and_nothing_that_a_link_in_it_leads_to(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    (own / "deep" / "er").mkdir(parents=True)
    other.mkdir()
    for path in (own / "file", own / "deep" / "file\nof two lines", other / "file"):
        path.touch()
    (own / "link").symlink_to(other / "file")
    (own / "deep" / "link").symlink_to(other)
    (own / "dangling").symlink_to("/nowhere")
    own_folder(own, {"cell": {"user": USER}})
    assert {path.lstat().st_uid for path in (own, *own.rglob("*"))} == {USER}
    assert {path.lstat().st_gid for path in (own, *own.rglob("*"))} == {USER}
    assert {path.lstat().st_uid for path in (other, other / "file")} == {os.getuid()}
    assert own.stat().st_mode & 0o777 == 0o700


def test_without_a_user_of_its_own_a_folder_stays_as_it_is(tmp_path):
    before = tmp_path.stat()
    own_folder(tmp_path, {"cell": {"user": None}})
    assert tmp_path.stat() == before


def test_devices_have_the_time_of_the_start_whatever_was_left_in_them(tmp_path):
    device = tmp_path / "nvidia0"
    device.touch()
    os.utime(device, (12345, 12345))
    touch_devices([device, tmp_path / "absent"])
    assert device.stat().st_mtime > time.time() - 60
    assert Path("/dev/null").stat().st_mtime > time.time() - 60
