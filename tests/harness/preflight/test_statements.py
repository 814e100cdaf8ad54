"""What one script imports, and what about it keeps a reader from being sure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.preflight.statements import NOT_PYTHON, read_script


def read(text):
    found = read_script(text)
    assert not isinstance(found, str), found
    return found


def said(text):
    return [(s.module, s.names, s.level, s.line, s.top) for s in read(text).statements]


def test_every_form_of_import():
    text = "import a, b.c as d\nfrom e.f import g, h as i\nfrom . import j\nfrom ..k import *\n"
    assert said(text) == [
        ("a", (), 0, 1, True),
        ("b.c", (), 0, 1, True),
        ("e.f", ("g", "h"), 0, 2, True),
        ("", ("j",), 1, 3, True),
        ("k", ("*",), 2, 4, True),
    ]


@pytest.mark.parametrize(
    "around",
    [
        "try:\n    {}\nexcept ImportError:\n    pass",
        "if TYPE_CHECKING:\n    {}",
        "with suppress(ImportError):\n    {}",
        "def f():\n    {}",
        "class C:\n    {}",
        "for _ in x:\n    {}",
        "match x:\n    case 1:\n        {}",
        "if a:\n    pass\nelse:\n    {}",
        "try:\n    pass\nfinally:\n    {}",
    ],
)
def test_only_what_is_reached_with_the_file_is_at_its_top(around):
    (only,) = read(around.format("import a")).statements
    assert (only.module, only.top) == ("a", False)
    assert read("import a").statements[0].top


@pytest.mark.parametrize(
    "line",
    [
        "sys.path.insert(0, 'lib')",
        "sys.path += ['lib']",
        "from sys import path",
        "sys.modules['a'] = b",
        "import importlib",
        "from importlib import import_module",
        "__import__('a')",
        "exec(code)",
        "import subprocess as sp",
        "from os import system",
        "os.execv('a', [])",
        "import runpy",
        "from torch.utils.cpp_extension import load",
        "import torch.utils.cpp_extension",
        "def f():\n  import setuptools",
    ],
)
def test_what_changes_where_modules_come_from(line):
    assert read("x = 1\n" + line).changes_lookup in (2, 3)


@pytest.mark.parametrize(
    "line",
    [
        "import sys",
        "sys.argv",
        "os.path.join(a)",
        "model.eval()",
        "torch.compile(m)",
        "re.compile('a')",
    ],
)
def test_what_does_not(line):
    assert read(line).changes_lookup == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x.to('cuda')", 1),
        ("\ntorch.cuda.is_available()", 2),
        ("f'cuda:{rank}'", 1),
        ("device = 'cuda:0'", 1),
        ("backend = 'nccl'", 1),
        ('"""Runs on cuda."""\nx = 1', 0),
        ("x = 'barracuda'", 0),
        ("# cuda", 0),
    ],
)
def test_code_that_speaks_of_cuda(text, line):
    assert read(text).cuda == line


def test_the_names_that_a_file_has():
    text = (
        "import a.b\nfrom c import d as e\ndef f(): g = 1\nclass H: pass\nfor i in j: pass\n"
        "try: pass\nexcept E as k: pass\nwith l as m: pass\n(n := 1)\nmatch o:\n  case p: pass"
    )
    found = read(text)
    assert set("aefgHikmnp") <= found.bound
    assert not set("bcdjlo") & found.bound
    assert not found.open_names


@pytest.mark.parametrize(
    "line", ["from a import *", "def __getattr__(name): ...", "globals()['a'] = 1", "__path__ = []"]
)
def test_a_file_that_may_have_other_names_too(line):
    assert read(line).open_names


@pytest.mark.parametrize("text", ["def (", "import", "x = '\0'", "\tx\n  y"])
def test_what_python_refuses_is_said_in_one_way(text):
    found = read_script(text)
    assert isinstance(found, str)
    assert found.startswith(NOT_PYTHON)


@given(st.text())
def test_any_text_is_read_or_refused_in_words(text):
    found = read_script(text)
    assert isinstance(found, str) == (not hasattr(found, "statements"))
