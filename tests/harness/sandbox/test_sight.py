"""What a cell sees: what is shown, less what is hidden, and never the other way round."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.sandbox import sight
from tests import cells

names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@st.composite
def trees(draw):
    """(files, links: where -> to, shown, hidden), all relative; a link may lead anywhere, or nowhere."""
    return (
        draw(st.lists(paths, max_size=8)),
        draw(st.dictionaries(paths, paths, max_size=4)),
        draw(st.lists(paths, min_size=1, max_size=3)),
        draw(st.lists(paths, max_size=3)),
    )


def planted(root, files, links):
    for path in files:
        try:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path / "file").parent.mkdir(exist_ok=True)
            (root / path / "file").touch()
        except OSError:
            continue  # a link is in the way
    for where, to in links.items():
        try:
            (root / where).parent.mkdir(parents=True, exist_ok=True)
            (root / where).symlink_to(root / to)
        except OSError:
            continue


def inside(path, folders):
    return any(path == folder or path.is_relative_to(folder) for folder in folders)


@given(trees())
@settings(max_examples=150)
def test_what_may_be_allowed_is_what_is_shown_less_what_is_hidden(tree):
    files, links, shown, hidden = tree
    root = Path(tempfile.mkdtemp()).resolve()
    try:
        planted(root, files, links)
        shown = [root / path for path in shown if (root / path).exists()]
        hidden = [(root / path).resolve() for path in hidden if (root / path).exists()]
        whole, listed = sight.without(shown, hidden)
        real = [path.resolve() for path in shown]
        for place, folders, names_ in os.walk(root):
            for name in (*folders, *names_):
                path = Path(place) / name
                if path.is_symlink():
                    continue
                wanted = inside(path, real) and not inside(path, hidden)
                # Of a folder with something hidden below, the rest is allowed one by one.
                is_split = any(one.is_relative_to(path) for one in hidden)
                assert inside(path, whole) == (wanted and not is_split), path
        assert not any(path.is_symlink() for path in whole)
        assert not set(whole) & set(listed)
    finally:
        shutil.rmtree(root)


def test_a_link_beside_what_is_hidden_is_no_way_into_it(tmp_path):
    for name in ("shown/hidden", "shown/open", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    for name, to in (("into", "hidden"), ("out", "../elsewhere"), ("beside", "open")):
        (tmp_path / "shown" / name).symlink_to(to)
    whole, listed = sight.without([tmp_path / "shown"], [tmp_path / "shown" / "hidden"])
    assert whole == [tmp_path / "shown" / "open"]
    assert listed == [tmp_path / "shown", tmp_path / "shown" / "hidden"]


def test_the_site_folders_of_every_interpreter_that_is_shown_are_hidden():
    seen = sight.sight([])
    for folder in [*map(Path, sys.path), Path(pytest.__file__).parents[1]]:
        if folder.name in ("site-packages", "dist-packages") and folder.is_dir():
            assert folder.resolve() in seen.hidden
    for path in seen.shown:
        for found in (
            *path.glob("lib/python3*/site-packages"),
            *path.glob("lib/python3*/dist-packages"),
        ):
            assert found.resolve() in seen.hidden


def test_no_secret_of_the_machine_is_shown():
    seen = sight.sight([])
    shown = {str(path) for path in seen.shown}
    assert shown
    assert not shown & {
        "/",
        "/etc",
        "/home",
        "/root",
        "/tmp",
        "/var",
        "/run",
        "/proc",
        "/dev",
        "/mnt",
    }
    assert not any("shadow" in path or "ssh" in path or "ssl" in path for path in shown)
    # The interpreter lies where it lies; nothing above it comes along.
    home = Path.home()
    assert home not in seen.shown


def test_what_is_shown_lies_below_nothing_else_that_is(tmp_path):
    (tmp_path / "libraries" / "inner").mkdir(parents=True)
    folder = tmp_path / "libraries"
    seen = sight.sight([], f"{folder}/inner:{folder}:relative::/not/there")
    assert folder in seen.shown
    assert folder / "inner" not in seen.shown
    assert all(path.is_absolute() and path.exists() for path in seen.shown)


def test_a_closed_folder_is_hidden_where_it_would_be_seen_and_not_named_elsewhere(tmp_path):
    """As the data would be in a project that is its own virtual environment, or on LD_LIBRARY_PATH."""
    for name in ("project/data", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "project")
    data = tmp_path / "project" / "data"
    (data / "inner").mkdir()
    for libraries in (tmp_path / "project", data, data / "inner", tmp_path / "link"):
        seen = sight.sight([], str(libraries), closed=[data, tmp_path / "elsewhere"])
        assert data in seen.hidden
        assert tmp_path / "elsewhere" not in seen.hidden
        whole, _ = sight.without(seen.shown, seen.hidden)
        assert not inside(data, whole)
        assert not inside(data / "inner", whole)


def test_the_other_environments_of_conda_are_hidden(tmp_path, monkeypatch):
    for name in ("conda-meta", "envs/other/lib", "pkgs", "bin"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    hidden = sight.sight([]).hidden
    assert {tmp_path / "envs", tmp_path / "pkgs"} <= set(hidden)
    assert tmp_path / "bin" not in hidden


def test_a_program_that_is_a_chain_of_links_shows_each_step(tmp_path, monkeypatch):
    real, middle, mine = (tmp_path / name for name in ("real", "middle", "mine"))
    for folder in (real, middle, mine):
        (folder / "bin").mkdir(parents=True)
    (real / "bin" / "python3.11").touch()
    (middle / "bin" / "python").symlink_to(real / "bin" / "python3.11")
    (mine / "bin" / "python").symlink_to(middle / "bin" / "python")
    monkeypatch.setattr(sys, "executable", str(mine / "bin" / "python"))
    assert {real, middle} <= set(sight.interpreter())


def test_devices_of_gpus_are_named_one_by_one(monkeypatch):
    found = [f"/dev/{name}" for name in ("nvidia0", "nvidia15", "nvidiactl", "nvidia-uvm")]
    other = ["/dev/nvidia-modeset", "/dev/sda", "/dev/dri"]
    monkeypatch.setattr(
        Path,
        "glob",
        lambda folder, pattern: [
            Path(path) for path in [*found, *other] if Path(path).match(f"{folder}/{pattern}")
        ],
    )
    assert [str(path) for path in sight.sight([]).gpus] == sorted(found)


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_links_at_the_top_are_kept(level):
    cells.skip_without(level)
    links = dict(sight.sight([]).links)
    for where, to in links.items():
        assert str(Path(where).readlink()) == to
