import pytest

from checks import source_dead, source_network
from tests.checks.source_scripts import look

HEAD = """
import os, requests, argparse
class Settings:
    ngram = bool(int(os.environ.get("NGRAM_ENABLED", "0")))
    slot_steps: int = int(os.getenv("SLOT_STEPS", 0))
    ttt = os.environ.get("TTT", "1") == "1"
    cache = False
    turned = False
rank = int(os.environ.get("RANK", "0"))
USE = False
TURNED = False
TURNED = True
def env_flag(name, default):
    return os.environ.get(name, default) != "0"
HELPED = env_flag("HELPED", "0")
os.environ["SET"] = "1"
parser.add_argument("--probe", action="store_true")
parser.add_argument("--mode", default="plain")
args.turned = True
"""
LABELS = {
    "if args.ngram:\n    GET": 'NGRAM_ENABLED (default "0")',
    "if args.ngram and rank == 0:\n    GET": 'NGRAM_ENABLED (default "0")',
    "if args.slot_steps > 0:\n    GET": "SLOT_STEPS (default 0)",
    "if not args.ttt:\n    GET": 'TTT (default "1")',
    "if args.ttt:\n    pass\nelse:\n    GET": 'TTT (default "1")',
    "if args.cache:\n    GET": "cache (default False)",
    "if USE:\n    GET": "USE (default False)",
    "if HELPED:\n    GET": 'HELPED (default "0")',
    "if args.probe:\n    GET": "--probe (default False)",
    "if args.mode == 'fancy':\n    GET": '--mode (default "plain")',
    "if os.environ.get('X', '') in ('1', 'true'):\n    GET": 'X (default "")',
    "if os.environ.get('X'):\n    GET": "X (default None)",
    "if getattr(args, 'extra', False):\n    GET": "extra (default False)",
    "x = GET if USE else 0": "USE (default False)",
    "while USE:\n    GET": "USE (default False)",
    "if False:\n    GET": "a constant",
    "wanted = args.ngram or args.cache\nif wanted:\n    GET": (
        'NGRAM_ENABLED (default "0"), cache (default False)'
    ),
    "def f():\n    if not args.ngram:\n        return\n    GET\nf()": 'NGRAM_ENABLED (default "0")',
    "def f():\n    GET\nif USE:\n    f()": "USE (default False)",
    "class C:\n    def f(self):\n        GET\ndef g():\n    C()\nif USE:\n    g()": "USE (default False)",
    "def f():\n    GET\nif __name__ == '__main__':\n    main()": "f, which nothing in this text calls",
}
LIVE = [
    "GET",
    "if args.ttt:\n    GET",
    "if not args.ngram:\n    GET",
    "if args.ngram:\n    pass\nelse:\n    GET",
    "if args.ngram or rank == 0:\n    GET",
    "if args.unknown:\n    GET",
    "if rank == 1:\n    GET",
    "if TURNED:\n    GET",
    "if args.turned:\n    GET",
    "if os.environ.get('X', '0'):\n    GET",
    "if os.environ.get('SET', '0') == '1':\n    GET",
    "if os.environ['X'] == '1':\n    GET",
    "Settings(cache=True)\nif args.cache:\n    GET",
    "setattr(args, 'cache', True)\nif args.cache:\n    GET",
    "def f():\n    GET\nif USE:\n    f()\nf()",
    "def f():\n    GET\nif USE:\n    f()\nrun('f')",
    "def f():\n    GET",
    "def f(USE):\n    if USE:\n        GET",
    "if USE:\n    pass\nGET",
]


def behind(script):
    notes = look(source_network, HEAD + script.replace("GET", "requests.get(url)"))
    (note,) = [note for note in notes if "requests.get" in note.text]
    return note.behind


@pytest.mark.parametrize("script", LABELS)
def test_a_line_that_the_defaults_do_not_reach_says_so(script):
    assert behind(script) == LABELS[script]


@pytest.mark.parametrize("script", LIVE)
def test_a_line_that_may_be_reached_does_not(script):
    assert behind(script) == ""


def test_of_many_flags_four_are_named():
    flags = "".join(f"F{i} = False\n" for i in range(9))
    label = behind(flags + "if " + " or ".join(f"F{i}" for i in range(9)) + ":\n    GET")
    assert label == ", ".join(f"F{i} (default False)" for i in range(4))


def test_one_note_a_flag_names_the_lines():
    script = (
        HEAD
        + "if USE:\n    requests.get(a)\n    requests.get(b)\nif args.ngram:\n    requests.get(c)\n"
    )
    notes = source_dead.check(look(source_network, script))
    assert [(note.id, note.line, note.message) for note in notes] == [
        (
            "source.dead",
            21,
            "lines 21, 22 are noted, and not reached by default: USE (default False)",
        ),
        (
            "source.dead",
            24,
            'line 24 is noted, and not reached by default: NGRAM_ENABLED (default "0")',
        ),
    ]
    assert source_dead.check(look(source_network, "import requests")) == ()
