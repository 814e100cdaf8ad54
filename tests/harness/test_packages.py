"""Which packages are visible, what they are made of, and that a view of them is all that can be imported."""

import importlib.util
import os
import py_compile
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import JudgeError, RulesetError
from harness.journal import read_record, write_record
from harness.packages import Pinned, readable, record_rows, resolve, search_path, view
from tests.harness.sites import install

NAMES = "abcdef"


def visible(pinned):
    return {one.name: one for one in pinned.packages}


def missing(pinned):
    return {one.name: one.state for one in pinned.missing}


def shown(folder):
    """Every file that can be reached below a folder, links followed, by relative name."""
    return {
        os.path.relpath(Path(place, name), folder)
        for place, _, files in os.walk(folder, followlinks=True)
        for name in files
    }


# What is drawn in.


@given(
    edges=st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), min_size=1),
    wanted=st.sets(st.sampled_from(NAMES), min_size=1),
)
@settings(max_examples=60)
def test_what_is_visible_is_what_is_reached(tmp_path_factory, edges, wanted):
    site = tmp_path_factory.mktemp("site")
    for name, requires in edges.items():
        install(site, name, requires=sorted(requires))
    pinned = resolve(sorted(wanted), [str(site)])

    reached = set(wanted)
    while (more := reached | {to for name in reached for to in edges.get(name, ())}) != reached:
        reached = more
    assert list(visible(pinned)) == sorted(reached & edges.keys())
    assert missing(pinned) == dict.fromkeys(sorted(reached - edges.keys()), "absent")
    for name, one in visible(pinned).items():
        assert set(one.drawn_in_by) == {by for by in reached if name in edges.get(by, ())}
        assert one.requirement == (name if name in wanted else "")


def test_extras_are_drawn_in_where_they_are_named_by_whom_so_ever(tmp_path):
    install(tmp_path, "kit", requires=["a; extra == 'x'", "b; extra == 'y'", "c"])
    install(tmp_path, "user", requires=["kit[x]"])
    for name in "abc":
        install(tmp_path, name)
    assert set(visible(resolve(["kit"], [str(tmp_path)]))) == {"kit", "c"}
    assert set(visible(resolve(["kit[y]"], [str(tmp_path)]))) == {"kit", "b", "c"}
    # The extra comes to light after the package itself was drawn in.
    assert set(visible(resolve(["kit", "user"], [str(tmp_path)]))) == {"kit", "user", "a", "c"}


def test_markers_are_evaluated_for_this_interpreter(tmp_path):
    install(tmp_path, "a", requires=["b; python_version < '3'", "c; python_version >= '3'"])
    install(tmp_path, "b")
    install(tmp_path, "c")
    assert set(visible(resolve(["a", "b; sys_platform == 'win32'"], [str(tmp_path)]))) == {"a", "c"}


def test_names_are_normalised(tmp_path):
    install(tmp_path, "Some.Thing", requires=["OTHER_one"])
    install(tmp_path, "other-one")
    assert set(visible(resolve(["some_thing"], [str(tmp_path)]))) == {"some-thing", "other-one"}


def test_the_first_folder_that_holds_a_package_decides(tmp_path):
    install(tmp_path / "first", "a", version="1.0")
    install(tmp_path / "second", "a", version="2.0")
    install(tmp_path / "second", "b", version="3.0")
    pinned = resolve(["a", "b"], [str(tmp_path / "first"), str(tmp_path / "second")])
    assert [(one.version, Path(one.site).name) for one in pinned.packages] == [
        ("1.0", "first"),
        ("3.0", "second"),
    ]
    again = resolve(["a>=2"], [str(tmp_path / "first"), str(tmp_path / "second")])
    assert missing(again) == {"a": "wrong version"}


# What is not visible.


@pytest.mark.parametrize(
    ("version", "wanted", "allowed"),
    [
        ("2.13.0+cpu", "a>=2.11,<2.14", True),
        ("2.14.0", "a>=2.11,<2.14", False),
        ("4.0.0b36", "a>=4.0.0b3", True),
        ("2.13.0rc1", "a>=2.11", True),
        ("1.0", "a==1.0.*", True),
        ("1.1", "a==1.0.*", False),
        ("no version", "a>=1", False),
        ("1.0", "a", True),
    ],
)
def test_a_version_outside_the_specifier_is_noted_and_hidden(tmp_path, version, wanted, allowed):
    install(tmp_path, "a", version=version, requires=["b"])
    install(tmp_path, "b")
    pinned = resolve([wanted], [str(tmp_path)])
    assert set(visible(pinned)) == ({"a", "b"} if allowed else set())
    assert missing(pinned) == ({} if allowed else {"a": "wrong version"})
    if not allowed:
        assert version in pinned.missing[0].sentence()
        assert wanted.removeprefix("a") in pinned.missing[0].sentence()


def test_what_is_drawn_in_cannot_bring_back_a_version_that_the_ruleset_refuses(tmp_path):
    install(tmp_path, "a", requires=["b"])
    install(tmp_path, "b", version="1.0")
    for wanted in (["a", "b>=2"], ["b>=2", "a"]):
        pinned = resolve(wanted, [str(tmp_path)])
        assert set(visible(pinned)) == {"a"}
        assert missing(pinned) == {"b": "wrong version"}


def test_versions_of_what_is_drawn_in_are_the_installers_business(tmp_path):
    install(tmp_path, "a", requires=["b>=2"])
    install(tmp_path, "b", version="1.0")
    assert set(visible(resolve(["a"], [str(tmp_path)]))) == {"a", "b"}


def test_editable_installations_are_never_visible(tmp_path):
    install(tmp_path, "a", {"a.pth": "/elsewhere\n"}, editable=True)
    install(tmp_path, "b", {"__editable___b_finder.py": "", "__editable__.b.pth": "import b\n"})
    pinned = resolve(["a", "b"], [str(tmp_path)])
    assert missing(pinned) == {"a": "editable", "b": "editable"}
    assert readable(pinned) == []


def test_a_package_without_a_list_of_files_is_never_visible(tmp_path):
    install(tmp_path, "a", record=False)
    (tmp_path / "b.egg-info").mkdir()
    (tmp_path / "b.egg-info" / "PKG-INFO").write_text("Name: b\nVersion: 1.0\n")
    (tmp_path / "c-1.0.egg-info").write_text("Name: c\nVersion: 1.0\n")
    info = install(tmp_path, "d")
    (info / "RECORD").write_bytes(b"d.py,\xff,\n")
    pinned = resolve(["a", "b", "c", "d"], [str(tmp_path)])
    assert missing(pinned) == dict.fromkeys("abcd", "unreadable")
    assert pinned.packages == ()


def test_what_the_installer_left_half_removed_is_not_installed(tmp_path):
    install(tmp_path, "a").rename(tmp_path / "~-1.0.dist-info")
    assert missing(resolve(["a"], [str(tmp_path)])) == {"a": "absent"}


def test_a_dependency_that_cannot_be_read_is_noted(tmp_path):
    install(tmp_path, "a", requires=["!!", "b"])
    install(tmp_path, "b")
    pinned = resolve(["a"], [str(tmp_path)])
    assert set(visible(pinned)) == {"a", "b"}
    assert [(one.name, one.wanted_by, one.state) for one in pinned.missing] == [
        ("!!", "a", "unreadable")
    ]


def test_the_judge_is_never_visible_whoever_requires_it(tmp_path):
    install(tmp_path, "model-contest-harness", {"harness/__init__.py": ""}, requires=["c"])
    install(tmp_path, "a", requires=["Model_Contest.Harness"])
    install(tmp_path, "c")
    pinned = resolve(["a"], [str(tmp_path)])
    assert set(visible(pinned)) == {"a"}
    assert pinned.missing == ()
    with pytest.raises(RulesetError, match="the judge itself"):
        resolve(["model-contest-harness"], [str(tmp_path)])


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (["numpy>"], "'numpy>' is no requirement"),
        ([""], "is no requirement"),
        (["a @ https://example.org/a.whl"], "names an address"),
        (["a>=1", "A<2"], "'a' is named twice"),
    ],
)
def test_a_ruleset_that_asks_for_nonsense_is_refused(tmp_path, wanted, says):
    with pytest.raises(RulesetError, match=says) as caught:
        resolve(wanted, [str(tmp_path)])
    assert "\n" not in str(caught.value)


# What a package is made of.

FILES = st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=3).map(
    lambda parts: "/".join([*(f"{part}_" for part in parts[:-1]), f"{parts[-1]}.txt"])
)


@given(
    owned=st.dictionaries(
        st.sampled_from(NAMES), st.sets(FILES, min_size=1, max_size=6), min_size=1
    ),
    places=st.fixed_dictionaries({name: st.sampled_from(["one", "two"]) for name in NAMES}),
    data=st.data(),
)
@settings(max_examples=100)
def test_a_view_shows_the_visible_packages_files_and_nobody_elses(
    tmp_path_factory, owned, places, data
):
    folder = tmp_path_factory.mktemp("view")
    for name, files in owned.items():
        install(folder / places[name], name, dict.fromkeys(files, name))
    wanted = data.draw(st.sets(st.sampled_from(sorted(owned)), min_size=1))
    pinned = resolve(sorted(wanted), [str(folder / "one"), str(folder / "two")])
    view(pinned, folder / "view")

    info = {f"{name}-1.0.dist-info/{file}" for name in wanted for file in ("METADATA", "RECORD")}
    theirs = {file for name in wanted for file in owned[name]}
    assert shown(folder / "view") == theirs | info
    # The same by what a process may read; no entry lies inside another.
    paths = readable(pinned)
    assert paths == sorted(set(paths))
    assert not [(a, b) for a in paths for b in paths if a in b.parents]
    reached = {
        file.relative_to(folder / place).as_posix()
        for place in ("one", "two")
        for path in paths
        if path.is_relative_to(folder / place)
        for file in ([path] if path.is_file() else path.rglob("*"))
        if file.is_file()
    }
    assert reached == theirs | info


def test_a_folder_that_only_visible_packages_share_is_one_link(tmp_path):
    install(tmp_path / "site", "a", {"shared/a/x.py": "", "shared/__init__.py": ""})
    install(tmp_path / "site", "b", {"shared/b/x.py": "", "shared/__init__.py": ""})
    install(tmp_path / "site", "c", {"shared/c/deep/x.py": "", "c/x.py": ""})
    both = resolve(["a", "b", "c"], [str(tmp_path / "site")])
    view(both, tmp_path / "three")
    assert (tmp_path / "three" / "shared").is_symlink()
    two = resolve(["a", "b"], [str(tmp_path / "site")])
    assert visible(two)["a"].entries == ("a-1.0.dist-info", "shared/__init__.py", "shared/a")
    view(two, tmp_path / "two")
    assert not (tmp_path / "two" / "shared").is_symlink()
    assert sorted(os.listdir(tmp_path / "two" / "shared")) == ["__init__.py", "a", "b"]


def test_a_name_that_is_hidden_in_another_folder_does_not_split_a_package(tmp_path):
    install(tmp_path / "one", "a", {"shared/a/x.py": ""})
    install(tmp_path / "two", "b", {"shared/a/y.py": ""})
    both = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert visible(resolve(["a"], both))["a"].entries == ("a-1.0.dist-info", "shared")


def test_programs_and_names_outside_the_folder_are_left_out(tmp_path):
    outside = {"../../../bin/tool": "", "/etc/passwd": "", "a/../../up.py": "", "..": "", "": ""}
    install(tmp_path / "site", "a", {"a/x.py": ""}, listed=outside)
    (tmp_path / "up.py").touch()
    pinned = resolve(["a"], [str(tmp_path / "site")])
    assert visible(pinned)["a"].entries == ("a", "a-1.0.dist-info")


def test_what_is_listed_and_not_there_is_no_entry(tmp_path):
    install(tmp_path, "a", {"a/x.py": ""}, listed={"gone.py": "", "gone_too/x.py": ""})
    assert visible(resolve(["a"], [str(tmp_path)]))["a"].entries == ("a", "a-1.0.dist-info")


def test_a_single_module_comes_with_its_byte_code(tmp_path):
    install(tmp_path / "site", "a", {"a.py": "X = 1\n"})
    install(tmp_path / "site", "b", {"b.py": "X = 1\n"})
    code = f"__pycache__/a.{sys.implementation.cache_tag}.pyc"
    for name in ("a", "b"):
        py_compile.compile(str(tmp_path / "site" / f"{name}.py"))
    pinned = resolve(["a"], [str(tmp_path / "site")])
    assert visible(pinned)["a"].entries == (code, "a-1.0.dist-info", "a.py")
    view(pinned, tmp_path / "view")
    assert shown(tmp_path / "view" / "__pycache__") == {Path(code).name}


def test_the_site_folder_is_named_without_links(tmp_path):
    install(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to("real")
    pinned = resolve(["a"], [str(tmp_path / "link")])
    assert visible(pinned)["a"].site == str(tmp_path / "real")


def test_rows_of_a_record_may_be_quoted():
    assert list(record_rows('"a, b.py",sha256=x,3\n./c.py,,\n')) == [
        ("a, b.py", "sha256=x"),
        ("c.py", ""),
    ]


def test_a_view_needs_a_folder_of_its_own_that_all_may_read(tmp_path):
    install(tmp_path / "site", "a", {"shared/a/x.py": ""})
    install(tmp_path / "site", "b", {"shared/b/x.py": ""})
    pinned = resolve(["a"], [str(tmp_path / "site")])
    before = os.umask(0o077)
    try:
        view(pinned, tmp_path / "view")
    finally:
        os.umask(before)
    for folder in (tmp_path / "view", tmp_path / "view" / "shared"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    with pytest.raises(JudgeError, match="not empty"):
        view(pinned, tmp_path / "view")
    (tmp_path / "file").touch()
    with pytest.raises(JudgeError, match="make room"):
        view(pinned, tmp_path / "file")


def test_what_is_pinned_can_be_stored(tmp_path):
    install(tmp_path, "a", requires=["b", "c"])
    install(tmp_path, "b")
    pinned = resolve(["a>=1"], [str(tmp_path)])
    write_record(tmp_path / "pinned.json", pinned)
    assert read_record(tmp_path / "pinned.json", Pinned) == pinned


# With what is installed here.


def test_the_default_search_path_is_where_this_interpreter_finds_packages():
    assert missing(resolve(["numpy"], search_path())) == {}


def imported(pinned, folder, code):
    """Run code with nothing on the import path but the standard library and the view."""
    view(pinned, folder / "view")
    env = {"PYTHONPATH": str(folder / "view"), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"OMP_NUM_THREADS": "1", "HOME": str(folder), "TMPDIR": str(folder)}
    bare = "import sys; assert not [p for p in sys.path if p.endswith('-packages')], sys.path\n"
    command = [sys.executable, "-S", "-c", bare + code]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)


def need(*names):
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


def test_numpy_works_from_a_view_and_its_neighbours_are_not_there(tmp_path):
    pinned = resolve(["numpy"], search_path())
    result = imported(
        pinned,
        tmp_path,
        "import numpy, importlib.metadata as m\n"
        "assert numpy.linalg.inv(numpy.eye(3)).sum() == 3\n"
        "assert m.version('numpy') == numpy.__version__\n"
        "print(sorted(d.name for d in m.distributions()))\n"
        "import scipy",
    )
    assert result.stdout == "['numpy']\n"
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'scipy'\n")


def test_compiled_modules_work_from_a_view(tmp_path):
    need("brotli", "sentencepiece")
    result = imported(
        resolve(["brotli", "sentencepiece"], search_path()),
        tmp_path,
        "import brotli, sentencepiece\n"
        "assert brotli.decompress(brotli.compress(b'text')) == b'text'\n"
        "sentencepiece.SentencePieceProcessor()\n"
        "import numpy",
    )
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'numpy'\n")


def test_torch_works_from_a_view_with_all_that_compiling_needs(tmp_path):
    need("torch")
    pinned = resolve(["torch", "numpy"], search_path())
    assert set(visible(pinned)) >= {"sympy", "mpmath", "networkx", "jinja2", "markupsafe"}
    result = imported(
        pinned,
        tmp_path,
        "import torch, torch._inductor.compile_fx, filelock, fsspec, setuptools\n"
        "twice = torch.compile(lambda x: x * 2, backend='eager')\n"
        "assert twice(torch.ones(2)).numpy().tolist() == [2, 2]\n"
        "import scipy",
    )
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'scipy'\n")
