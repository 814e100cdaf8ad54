"""What the pinned packages' files hold: any change is seen and named, byte code that appears is not one."""

import os
import py_compile
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import package_sums
from harness.errors import JudgeError
from harness.journal import read_record, write_record
from harness.package_sums import Sums, changed, compiled_since, digest
from harness.packages import resolve
from tests.harness.sites import install, stated
from tests.strategies import trees

CODE = f"{sys.implementation.cache_tag}.pyc"


def installed(site, files, **more):
    install(site, "a", files, **more)
    return resolve(["a"], [str(site)])


@given(tree=trees(), data=st.data(), small_bytes=st.sampled_from([0, 100, 1 << 20]))
@settings(max_examples=80)
def test_any_change_is_seen_and_named_and_its_undoing_too(
    tmp_path_factory, tree, data, small_bytes
):
    site = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package_sums, "SMALL_BYTES", small_bytes)
        patch.setattr(package_sums, "BATCH_FILES", 2)
        pinned = installed(site, {f"a/{name}": content for name, content in tree.items()})
        before = digest(pinned)
        assert digest(pinned) == before
        assert changed(before, before) == []
        assert before.packages["a"].files == len(tree) + 2
        assert before.packages["a"].differing == {}
        assert list(before.packages["a"].unlisted) == ["a-1.0.dist-info/RECORD"]

        name = data.draw(st.sampled_from(sorted(tree)))
        path = site / "a" / name
        how = data.draw(st.sampled_from(["longer", "other", "link", "gone", "more", "pipe"]))
        if how == "longer":
            path.write_bytes(tree[name] + b"!")
        elif how == "other":
            path.write_bytes(bytes(byte ^ 1 for byte in tree[name]) or b"!")
        elif how == "link":
            path.rename(site / "aside")
            path.symlink_to(site / "aside")
        elif how == "gone":
            path.unlink()
        elif how == "pipe":
            path.unlink()
            os.mkfifo(path)
        else:
            name += "!"
            path.with_name(f"{path.name}!").write_bytes(b"")
        after = digest(pinned)

        what = {"gone": "vanished", "more": "appeared"}.get(how, "changed")
        undone = {"gone": "appeared", "more": "vanished"}.get(how, "changed")
        assert changed(before, after) == [f"a 1.0: a/{name}: {what}"]
        assert changed(after, before) == [f"a 1.0: a/{name}: {undone}"]
        assert after.digest != before.digest


def test_what_is_stored_is_compared_like_what_was_read(tmp_path):
    pinned = installed(tmp_path, {"a/x.py": "1", "a/y.py": "2"})
    write_record(tmp_path / "sums.json", digest(pinned))
    (tmp_path / "a" / "y.py").write_text("3")
    before = read_record(tmp_path / "sums.json", Sums)
    assert changed(before, digest(pinned)) == ["a 1.0: a/y.py: changed"]


def test_only_what_record_does_not_state_is_stored_singly(tmp_path):
    pinned = installed(tmp_path, {f"a/{number}.py": "" for number in range(100)})
    one = digest(pinned).packages["a"]
    assert (one.files, one.differing, one.byte_code) == (102, {}, {})
    assert one.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.dist-info/*"))
    assert list(one.unlisted) == ["a-1.0.dist-info/RECORD"]


@pytest.mark.parametrize("row", ["", "md5=abcd", "sha256=é", "sha256=a"])
def test_a_row_without_a_sum_leaves_no_gap(tmp_path, row):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "odd.py").write_text("1")
    pinned = installed(tmp_path, {"a/x.py": ""}, listed={"a/odd.py": row})
    before = digest(pinned)
    assert set(before.packages["a"].unlisted) == {"a-1.0.dist-info/RECORD", "a/odd.py"}
    (tmp_path / "a" / "odd.py").write_text("2")
    assert changed(before, digest(pinned)) == ["a 1.0: a/odd.py: changed"]


def test_a_package_that_was_altered_before_is_compared_with_what_it_was(tmp_path):
    pinned = installed(tmp_path, {"a/x.py": "1", "a/y.py": "2", "a/z.py": "3"})
    (tmp_path / "a" / "x.py").write_text("mended by hand")
    (tmp_path / "a" / "y.py").unlink()
    before = digest(pinned)
    assert set(before.packages["a"].differing) == {"a/x.py", "a/y.py"}
    assert changed(before, digest(pinned)) == []
    (tmp_path / "a" / "x.py").write_text("1")
    (tmp_path / "a" / "y.py").write_text("new")
    assert changed(before, digest(pinned)) == ["a 1.0: a/x.py: changed; a/y.py: appeared"]


def test_a_change_that_record_was_made_to_vouch_for_is_seen(tmp_path):
    pinned = installed(tmp_path, {"a/x.py": "1"})
    before = digest(pinned)
    (tmp_path / "a" / "x.py").write_text("2")
    record = tmp_path / "a-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace(stated(b"1"), stated(b"2")))
    after = digest(pinned)
    assert after.packages["a"].differing == {}
    assert changed(before, after) == ["a 1.0: a-1.0.dist-info/RECORD: changed"]


def test_a_record_that_goes_is_named_first(tmp_path):
    pinned = installed(tmp_path, {f"a/{number}.py": "" for number in range(9)})
    before = digest(pinned)
    (tmp_path / "a-1.0.dist-info" / "RECORD").unlink()
    (sentence,) = changed(before, digest(pinned))
    assert sentence.startswith("a 1.0: a-1.0.dist-info/RECORD: vanished; ")
    (tmp_path / "a-1.0.dist-info" / "RECORD").write_bytes(b"\xff")
    with pytest.raises(JudgeError, match="install a anew"):
        digest(pinned)


def test_a_digest_that_differs_is_a_change_though_no_file_is_known(tmp_path):
    before = digest(installed(tmp_path, {"a/x.py": ""}))
    other = {"a": replace(before.packages["a"], digest="0")}
    assert len(changed(before, replace(before, packages=other))) == 1


def test_packages_come_and_go_by_name_and_long_lists_are_cut(tmp_path):
    pinned = installed(tmp_path, {f"a/{number}.py": "" for number in range(9)})
    before = digest(pinned)
    for number in range(5):
        (tmp_path / "a" / f"{number}.py").write_text("!")
    after = digest(pinned)
    assert changed(before, after) == [
        "a 1.0: a/0.py: changed; a/1.py: changed; a/2.py: changed; and 2 more"
    ]
    assert changed(before, Sums(digest="", packages={})) == ["a: vanished"]
    assert changed(Sums(digest="", packages={}), after) == ["a: appeared"]


# Links.


def test_a_link_is_what_it_says_and_what_it_leads_to(tmp_path):
    (tmp_path / "outside").write_text("1")
    pinned = installed(tmp_path / "site", {"a/x.py": ""})
    (tmp_path / "site" / "a" / "link.py").symlink_to(tmp_path / "outside")
    before = digest(pinned)
    (tmp_path / "outside").write_text("2")
    assert changed(before, digest(pinned)) == ["a 1.0: a/link.py: changed"]


def test_a_link_to_a_folder_is_not_followed_below_the_top(tmp_path):
    pinned = installed(tmp_path, {"a/x.py": ""})
    (tmp_path / "a" / "round").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "nowhere").symlink_to("nowhere")
    assert set(digest(pinned).packages["a"].unlisted) == {
        "a-1.0.dist-info/RECORD",
        "a/nowhere",
        "a/round",
    }


def test_a_link_that_leads_elsewhere_is_another(tmp_path):
    pinned = installed(tmp_path, {"a/x/1.py": "", "a/y/1.py": ""})
    (tmp_path / "a" / "z").symlink_to("x")
    before = digest(pinned)
    (tmp_path / "a" / "z").unlink()
    (tmp_path / "a" / "z").symlink_to("y")
    assert changed(before, digest(pinned)) == ["a 1.0: a/z: changed"]


def test_what_is_no_file_is_told_by_its_kind(tmp_path, monkeypatch):
    pinned = installed(tmp_path, {"a/x.py": ""})
    os.mkfifo(tmp_path / "a" / "odd")
    before = digest(pinned)
    (tmp_path / "a" / "odd").unlink()
    monkeypatch.chdir(tmp_path / "a")  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("odd")
        assert changed(before, digest(pinned)) == ["a 1.0: a/odd: changed"]


def test_a_package_that_is_shown_through_a_link_is_read_where_it_lies(tmp_path):
    install(tmp_path, "a", {"a/x.py": "1"})
    (tmp_path / "a").rename(tmp_path / "store")
    (tmp_path / "a").symlink_to("store")
    pinned = resolve(["a"], [str(tmp_path)])
    before = digest(pinned)
    (tmp_path / "store" / "x.py").write_text("2")
    assert changed(before, digest(pinned)) == ["a 1.0: a/x.py: changed"]


# Byte code.


def test_byte_code_that_appears_is_no_change_and_is_listed(tmp_path):
    pinned = installed(tmp_path, {"a/x.py": "X = 1\n", "a/y.py": "X = 2\n"})
    before = digest(pinned)
    py_compile.compile(str(tmp_path / "a" / "x.py"))
    py_compile.compile(str(tmp_path / "a" / "x.py"), optimize=2)
    (tmp_path / "a" / "__pycache__" / f"y.{CODE}.140234").write_bytes(b"being written")
    after = digest(pinned)
    assert changed(before, after) == []
    assert after.digest == before.digest
    assert compiled_since(before, after) == [
        f"a/__pycache__/x.{CODE.replace('.pyc', '.opt-2.pyc')}",
        f"a/__pycache__/x.{CODE}",
        f"a/__pycache__/y.{CODE}.140234",
    ]
    assert changed(after, before) == []
    assert compiled_since(after, before) == []


def test_byte_code_that_changes_is_a_change(tmp_path):
    pinned = installed(tmp_path, {"a/x.py": "X = 1\n"})
    code = Path(py_compile.compile(str(tmp_path / "a" / "x.py")))
    before = digest(pinned)
    code.write_bytes(code.read_bytes()[:-1] + b"!")
    after = digest(pinned)
    assert changed(before, after) == [f"a 1.0: a/__pycache__/x.{CODE}: changed"]
    assert compiled_since(before, after) == []


@pytest.mark.parametrize(
    "name",
    [
        f"a/__pycache__/none.{CODE}",  # no source: Python never runs it, anybody may read it
        "a/__pycache__/x.stash.pyc",
        "a/__pycache__/x.cpython-10.pyc",
        f"a/__pycache__/x.{CODE}.stash",
        "a/__pycache__/stash",
        "a/none.pyc",  # a module without a source
        "a/x.pyc",
        f"a/sub/x.{CODE}",
    ],
)
def test_what_only_looks_like_byte_code_is_a_file_like_others(tmp_path, name):
    pinned = installed(tmp_path, {"a/x.py": ""})
    before = digest(pinned)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    after = digest(pinned)
    assert changed(before, after) == [f"a 1.0: {name}: appeared"]
    assert compiled_since(before, after) == []


def test_byte_code_that_an_installer_lists_may_be_missing(tmp_path):
    code = f"a/__pycache__/x.{CODE}"
    pinned = installed(tmp_path, {"a/x.py": ""}, listed={code: ""})
    before = digest(pinned)
    assert before.packages["a"].differing == {}
    py_compile.compile(str(tmp_path / "a" / "x.py"))
    assert compiled_since(before, digest(pinned)) == [code]


def test_byte_code_in_a_shared_folder_belongs_to_its_source(tmp_path):
    install(tmp_path, "a", {"shared/x.py": ""})
    install(tmp_path, "b", {"shared/y.py": ""})
    pinned = resolve(["a", "b"], [str(tmp_path)])
    before = digest(pinned)
    py_compile.compile(str(tmp_path / "shared" / "y.py"))
    after = digest(pinned)
    assert changed(before, after) == []
    assert list(after.packages["b"].byte_code) == [f"shared/__pycache__/y.{CODE}"]


def test_byte_code_of_a_module_that_is_shown_by_itself_is_watched(tmp_path):
    install(tmp_path, "a", {"a.py": "X = 1\n"})
    code = Path(py_compile.compile(str(tmp_path / "a.py")))
    pinned = resolve(["a"], [str(tmp_path)])
    before = digest(pinned)
    code.write_bytes(b"")
    assert changed(before, digest(pinned)) == [f"a 1.0: __pycache__/a.{CODE}: changed"]


# Several packages.


def test_a_shared_file_belongs_to_the_first_that_lists_it_and_a_strange_one_to_the_first_there(
    tmp_path,
):
    install(tmp_path, "a", {"shared/a/x.py": "", "shared/__init__.py": ""})
    install(tmp_path, "b", {"shared/b/x.py": "", "shared/__init__.py": ""})
    pinned = resolve(["a", "b"], [str(tmp_path)])
    before = digest(pinned)
    assert [before.packages[name].files for name in ("a", "b")] == [4, 3]
    for name in ("shared/b/x.py", "shared/__init__.py", "shared/b/new.py"):
        (tmp_path / name).write_text("!")
    assert changed(before, digest(pinned)) == [
        "a 1.0: shared/__init__.py: changed; shared/b/new.py: appeared",
        "b 1.0: shared/b/x.py: changed",
    ]


def test_packages_that_are_not_visible_do_not_count(tmp_path):
    install(tmp_path, "b", {"b/x.py": ""})
    pinned = installed(tmp_path, {"a/x.py": ""})
    before = digest(pinned)
    (tmp_path / "b" / "x.py").write_text("!")
    (tmp_path / "sitecustomize.py").write_text("!")
    assert digest(pinned) == before


def test_the_digest_does_not_depend_on_the_place_and_does_on_the_version(tmp_path):
    one, other, later = (
        digest(installed(tmp_path / place, {"a/x.py": "1"}, version=version))
        for place, version in (("one", "1.0"), ("other", "1.0"), ("later", "1.1"))
    )
    assert one == other
    assert one.digest != later.digest


def test_a_file_that_cannot_be_read_is_the_judges_trouble(tmp_path, monkeypatch):
    pinned = installed(tmp_path, {"a/x.py": "1"})
    real = os.open

    def refuse(path, *rest, **more):
        if str(path).endswith("x.py"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(JudgeError, match=r"x\.py: Permission denied; the judge has to read"):
        digest(pinned)


@pytest.mark.parametrize("listed", [True, False])
def test_a_file_that_goes_while_it_is_read_counts_as_gone(tmp_path, monkeypatch, listed):
    pinned = installed(tmp_path, {"a/y.py": "1"} | ({"a/x.py": "1"} if listed else {}))
    (tmp_path / "a" / "x.py").write_text("1")
    before = digest(pinned)
    real = os.open

    def vanish(path, *rest, **more):
        if str(path).endswith("x.py"):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", vanish)
    assert changed(before, digest(pinned)) == ["a 1.0: a/x.py: vanished"]
