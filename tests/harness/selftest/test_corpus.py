"""expected.toml: read strictly, refused in one sentence that says where and how to mend it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from checks import ORDER
from harness.errors import EXIT_USAGE, UsageError
from harness.selftest.corpus import Data, Expected, find_corpus, read_attack, read_corpus
from tests.harness.selftest.made import CAUGHT, LEGAL, OVER, SAME, entry, with_key
from tests.judged import ROOT


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        ("says = ", "not TOML: "),
        ("source = ['x']", "missing required field `says`"),
        (CAUGHT.replace("caught_by", "cuaght_by"), "unknown field `cuaght_by`; did you mean 'caught_by'?"),
        (CAUGHT + "[data]\nsets = 'tiny'", "unknown field `sets` - at `$.data`; did you mean 'set'?"),
        (CAUGHT + "[data]\nset = 'huge'", "Invalid enum value 'huge' - at `$.data.set`"),
        (CAUGHT.replace('["a test"]', "[]"), "Expected `array` of length >= 1 - at `$.source`"),
        (CAUGHT.replace('cap."', 'cap"'), "says: write one sentence on one line, with a full stop"),
        (CAUGHT.replace('"a test"', '"a\\u001b"'), "says, source: have characters that do not print"),
        (CAUGHT.replace('["bytes', '["byts'), "no check 'byts.artifact'; did you mean 'bytes.artifact'?"),
        (CAUGHT.replace('"bytes.artifact" =', '"order.blind" ='), "messages: order.blind is not expected"),
        (CAUGHT.split("\n[")[0], "messages: say what bytes.artifact must say"),
        (CAUGHT.replace("over the", "over (the"), "messages.bytes.artifact: not a regular expression: "),
        (with_key('also = ["bytes.artifact"]'), "caught_by: bytes.artifact is named under one_of"),
        (with_key('refused = "x"'), "refused: is given beside caught_by"),
        (with_key('needs = "file"'), "needs: no guarantee 'file'; did you mean 'files'?"),
        (CAUGHT + "[phases]\ntrian_s = 2.0", "phases: no budget 'trian_s'; did you mean 'train_s'?"),
        (CAUGHT + "[phases]\ntrain_s = 0", "Expected `float` > 0.0 - at `$.phases[...]`"),
        (CAUGHT + '[links]\n"../x" = "y"', "links: '../x' leaves its folder"),
        (LEGAL, "caught_by: is missing; name the checks that FAIL"),
        (LEGAL + "caught_by = []", "caught_by: is empty, and so is one_of"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_should_be_is_refused_in_a_sentence(tmp_path, expected, says):
    folder = entry(tmp_path, "mine", expected, cheat=OVER)
    with pytest.raises(UsageError) as refused:
        read_attack(folder)
    said = str(refused.value)
    assert said.startswith(f"{folder / 'expected.toml'}: ")
    assert says in said
    assert "\n" not in said
    assert refused.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            'caught_by = ["order.blind"]\n[messages]\n"order.blind" = "x"',
            "caught_by: there is no cheat/",
        ),
        ('refused = "x"', "refused: there is no cheat/"),
        ('also = ["order.blind"]', "also: there is no cheat/"),
        ('needs = "files"', "needs: there is no cheat/"),
        ("[data]\nreversed_documents = true", "caught_by: is missing"),
    ],
)
def test_a_key_that_is_said_of_no_cheat_is_refused(tmp_path, keys, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        read_attack(entry(tmp_path, "mine", LEGAL + keys))


def test_folders_that_are_not_there_are_refused(tmp_path):
    (entry(tmp_path, "twinless", CAUGHT, cheat=OVER) / "honest" / "submission.toml").unlink()
    (entry(tmp_path, "empty", CAUGHT, cheat=OVER) / "cheat" / "submission.toml").unlink()
    (entry(tmp_path, "silent", CAUGHT, cheat=OVER) / "expected.toml").unlink()
    entry(tmp_path, "Odd Name", CAUGHT, cheat=OVER)
    for name, says in (
        ("twinless", "honest/submission.toml: no such file; every attack has an honest twin"),
        ("empty", "cheat/submission.toml: no such file"),
        ("silent", "expected.toml: No such file or directory; an attack is described there"),
        ("Odd Name", "use small letters, digits and underscores"),
    ):
        with pytest.raises(UsageError, match=re.escape(says)):
            read_corpus(tmp_path, [name])


def test_names_choose_and_the_nearest_is_said(tmp_path):
    for name in ("b_two", "a_one", "c_three"):
        entry(tmp_path, name, CAUGHT, cheat=OVER)
    (tmp_path / "__pycache__").mkdir()
    assert [attack.name for attack in read_corpus(tmp_path)] == ["a_one", "b_two", "c_three"]
    assert [attack.name for attack in read_corpus(tmp_path, ["b_two", "b_two"])] == ["b_two"]
    with pytest.raises(UsageError, match=r"no attack 'b_too' in .*; did you mean 'b_two'\?"):
        read_corpus(tmp_path, ["a_one", "b_too"])


def test_one_that_is_broken_does_not_keep_others_from_being_tried(tmp_path):
    entry(tmp_path, "broken", "says = ", cheat=OVER)
    entry(tmp_path, "sound", CAUGHT, cheat=OVER)
    assert [attack.name for attack in read_corpus(tmp_path, ["sound"])] == ["sound"]
    with pytest.raises(UsageError, match="broken"):
        read_corpus(tmp_path)


def test_what_is_judged_of_an_entry(tmp_path):
    cheat = read_attack(entry(tmp_path, "cheat", CAUGHT, cheat=OVER))
    assert cheat.cheat == tmp_path / "cheat" / "cheat"
    assert cheat.catchers == ("bytes.artifact",)
    legal = read_attack(entry(tmp_path, "legal", LEGAL))
    assert (legal.cheat, legal.catchers) == (None, ())
    spoilt = CAUGHT + "[data]\nstated_bytes_factor = 2.0"
    data = read_attack(entry(tmp_path, "data", spoilt))
    assert data.cheat == data.honest
    refused = read_attack(entry(tmp_path, "refused", LEGAL + 'refused = "x"', cheat=SAME))
    assert refused.catchers == ("exit 2",)


def test_the_corpus_is_found_beside_the_package_or_in_it(tmp_path, monkeypatch):
    assert find_corpus() == ROOT / "tests" / "attacks"
    installed = tmp_path / "site" / "harness"
    monkeypatch.setattr(harness, "__file__", str(installed / "__init__.py"))
    with pytest.raises(UsageError, match="came without its corpus; name a folder of attacks"):
        find_corpus()
    entry(installed / "attacks", "mine", CAUGHT, cheat=OVER)
    assert find_corpus() == installed / "attacks"
    with pytest.raises(UsageError, match=r"--corpus .*: no folder in it has an expected\.toml"):
        find_corpus(Path("nowhere"))


@given(
    st.dictionaries(
        st.sampled_from([*Expected.__struct_fields__, *Data.__struct_fields__, "caught"]),
        st.one_of(
            st.booleans(),
            st.integers(),
            st.lists(st.sampled_from(ORDER), max_size=3),
            st.text(st.characters(codec="ascii"), max_size=5),
        ),
    )
)
def test_whatever_a_file_says_it_is_an_attack_or_one_sentence(tmp_path_factory, keys):
    folder = entry(tmp_path_factory.mktemp("corpus"), "mine", "", cheat=SAME)
    keys = {"says": "Cheats.", "source": ["a test"], **keys}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    (folder / "expected.toml").write_text("\n".join(lines), "utf-8")
    said = None
    try:
        assert read_attack(folder).catchers
    except UsageError as error:
        said = str(error)
    assert said is None or (str(folder) in said and "\n" not in said)
