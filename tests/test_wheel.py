"""What a wheel holds beside its packages: pages and corpus, which an editable installation finds in place."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.judged import ROOT, environment

FINDS = """
import sys
sys.path.insert(0, sys.argv[1])
from harness.report import rule_pages
from harness.selftest.corpus import find_corpus
print(rule_pages._folder())
print(find_corpus(None))
print(*rule_pages.pages())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pure part of a wheel, as the build backend lays it out."""
    pytest.importorskip("setuptools", "77", "no setuptools of the version that builds this")
    target = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", target],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target


def test_pages_and_corpus_are_found_in_the_package(built, tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", "-c", FINDS, built],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        timeout=60,
    )
    pages, corpus, ids = done.stdout.splitlines()
    assert Path(pages) == built / "harness" / "rules"
    assert Path(corpus) == built / "harness" / "attacks"
    assert ids.split() == sorted(path.stem for path in (ROOT / "docs" / "rules").glob("*.*.md"))
    index = (built / "harness" / "rules" / "README.md").read_bytes()
    assert index == (ROOT / "docs" / "rules" / "README.md").read_bytes()


def test_every_package_is_listed(built):
    """A package that pyproject.toml forgets is missing from a wheel alone."""
    for top in ("harness", "checks", "native", "submission"):
        for path in (ROOT / top).rglob("*.py"):
            assert (built / path.relative_to(ROOT)).is_file(), path
