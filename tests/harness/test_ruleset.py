"""Rulesets and baselines: all that are shipped are whole, and a typo is never a default."""

import contextlib
import hashlib
import itertools
import math
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from checks import ORDER
from harness import ruleset
from harness.errors import EXIT_USAGE, RulesetError
from harness.ruleset import Ruleset, shipped
from tests.judged import QUICK

FOLDER = Path(harness.__file__).parent / "rulesets"
SHIPPED = ["parameter-golf", "parameter-golf-frontier", "smoke"]
SMOKE = (FOLDER / "smoke.toml").read_text("utf-8")


def sections() -> list[tuple[str, type]]:
    return [
        (field.name, field.type)
        for field in msgspec.structs.fields(Ruleset)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
    ]


NUMBERS = [
    f"{section}.{name}"
    for section, kind in sections()
    for name, value in tomllib.loads(SMOKE)[section].items()
    if isinstance(value, int | float) and not isinstance(value, bool)
]


def changed(name: str, value: str) -> str:
    """Return smoke.toml with one line of a section set, or added."""
    section, key = name.split(".")
    lines, inside, done = [], False, False
    for line in SMOKE.splitlines():
        if line.startswith("["):
            inside = line == f"[{section}]"
        if inside and line.startswith(f"{key} ="):
            line, done = f"{key} = {value}", True
        lines.append(line)
        if line == f"[{section}]" and f"\n{key} =" not in SMOKE:
            lines.append(f"{key} = {value}")
            done = True
    assert done
    return "\n".join(lines)


def refused(text: str) -> str:
    with pytest.raises(RulesetError) as caught:
        ruleset.parse(text, "my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml: ")
    assert caught.value.exit_code == EXIT_USAGE
    return message


# --- what is shipped ---


def test_the_shipped_rulesets_are_these():
    assert shipped() == SHIPPED


@pytest.mark.parametrize("name", [*SHIPPED, str(QUICK)])
def test_a_ruleset_states_every_field(name):
    """A reader of the file sees every decision; none is made by a default in the code."""
    loaded = ruleset.load(name)
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    raw = tomllib.loads(path.read_text("utf-8"))
    assert set(raw) == set(Ruleset.__struct_fields__)
    for section, kind in sections():
        assert set(raw[section]) == set(kind.__struct_fields__), section
    assert loaded.ruleset.name == path.stem
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.text.encode() == path.read_bytes()
    assert (loaded.baseline_text is not None) == bool(loaded.ruleset.stats.baseline)
    if loaded.baseline_text is not None:
        ruleset.parse_baseline(loaded.baseline_text, "its own")


def test_no_field_of_a_ruleset_has_a_default():
    for kind in (Ruleset, ruleset.BaselineFile, *(kind for _, kind in sections())):
        for field in msgspec.structs.fields(kind):
            assert field.required, f"{kind.__name__}.{field.name}"


def test_the_contest_as_its_readme_is_written():
    rules = ruleset.load("parameter-golf").ruleset
    assert (rules.phases.train_s, rules.phases.score_s) == (600.0, 600.0)
    assert (rules.phases.train_grace_s, rules.phases.score_grace_s) == (0.0, 0.0)
    assert rules.bytes.cap_bytes == 16_000_000
    assert (rules.stats.threshold_nats, rules.stats.alpha) == (0.005, 0.01)
    assert rules.stats.margin_in_null
    assert rules.margin().margin_nats == 0.005
    assert rules.tolerances().gain_limit_nats == pytest.approx(0.001)
    assert set(rules.verdict.required) == set(ORDER)
    assert rules.score.predict == "required"


def test_the_contest_as_its_board_was_run():
    rules = ruleset.load("parameter-golf-frontier").ruleset
    assert rules.stats.alpha == 0.25
    assert not rules.stats.margin_in_null
    strict = ruleset.load("parameter-golf").ruleset
    same = {"name": "", "title": "", "source": "", "stats": strict.stats}
    assert msgspec.structs.replace(rules, **same) == msgspec.structs.replace(strict, **same)


def test_the_baseline_of_the_contest_is_pr_1019_to_the_last_digit():
    text = ruleset.load("parameter-golf").baseline_text
    assert text is not None
    baseline = ruleset.parse_baseline(text, "pr1019").record()
    assert dict(zip(baseline.seeds, baseline.nats_per_token, strict=True)) == {
        314: 1.88276292,
        42: 1.88156874,
        999: 1.88220393,
    }
    assert baseline.text_sha256 is None


def test_smoke_is_small_and_needs_no_guarantee():
    rules = ruleset.load("smoke").ruleset
    assert max(rules.phases.train_s, rules.phases.score_s, rules.phases.setup_s) <= 120.0
    assert rules.verdict.guarantees == ()
    assert rules.data.name == "synthetic-1"


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("phases.train_sec", "5.0", "unknown field `train_sec` - at `$.phases`"),
        ("phases.train_s", "0.0", "$.phases.train_s"),
        ("phases.train_s", "-1.0", "$.phases.train_s"),
        ("phases.train_s", '"600"', "$.phases.train_s"),
        ("phases.data_in_load", "true", "$.phases.data_in_load"),
        ("phases.export", '"outside"', "$.phases.export"),
        ("stats.alpha", "1.0", "$.stats.alpha"),
        ("stats.min_seeds", "1", "$.stats.min_seeds"),
        ("stats.test", '"z"', "$.stats.test"),
        ("stats.baseline", '"../smoke.toml"', "stats.baseline must be a bare file name"),
        ("challenge.blind", "1.5", "$.challenge.blind"),
        (
            "challenge.cap_nats",
            "0.01",
            "challenge.cap_nats is below challenge.floor_nats; raise it",
        ),
        ("challenge.confidence", "0.5", "$.challenge.confidence"),
        ("challenge.max_rounds", "0", "$.challenge.max_rounds"),
        ("score.max_block_tokens", "0", "$.score.max_block_tokens"),
        ("bytes.cap_bytes", "0", "$.bytes.cap_bytes"),
        ("unsettled.seed_choice", '"best of ten"', "$.unsettled.seed_choice"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, name, value, says):
    path = tmp_path / "my.toml"
    path.write_text(changed(name, value))
    with pytest.raises(RulesetError) as caught:
        ruleset.load(str(path))
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("parse", [ruleset.parse, ruleset.parse_baseline])
@pytest.mark.parametrize("value", ["[" * 5000, "1" * 4301], ids=["nested", "number"])
def test_what_toml_itself_cannot_take_is_refused(parse, value):
    with pytest.raises(RulesetError, match=r"^my\.toml: "):
        parse(f"schema = {value}", "my.toml")


@pytest.mark.parametrize("name", ["bytes.cap_bytes", "stats.min_seeds", "challenge.blind"])
def test_a_whole_number_fits_a_report(name):
    assert f"$.{name}" in refused(changed(name, "9" * 30))


def test_a_required_check_that_does_not_exist_is_refused():
    text = SMOKE.replace('"time.setup"', '"time.setpu"')
    assert "verdict.required: no check 'time.setpu'; did you mean 'time.setup'?" in refused(text)
    twice = SMOKE.replace('"time.setup", "time.train"', '"time.setup", "time.setup"')
    assert "verdict.required: 'time.setup' is named twice" in refused(twice)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", '"1"'])
def test_no_number_of_a_ruleset_may_be_nan_infinite_negative_or_text(name, value):
    assert f"$.{name}" in refused(changed(name, value))


@pytest.mark.parametrize("line", range(len(SMOKE.splitlines())))
def test_a_line_that_is_missing_is_missed(line):
    lines = SMOKE.splitlines()
    gone = lines.pop(line)
    if " = " in gone or gone.startswith("["):
        refused("\n".join(lines))


@given(st.integers(0, len(SMOKE) - 1), st.characters(codec="utf-8"))
@settings(max_examples=150)
def test_any_damage_is_read_or_refused(place, character):
    text = SMOKE[:place] + character + SMOKE[place + 1 :]
    with contextlib.suppress(RulesetError):
        rules = ruleset.parse(text, "m")
        for section, _ in sections():
            for value in msgspec.to_builtins(getattr(rules, section)).values():
                assert not isinstance(value, float) or math.isfinite(value)


def test_an_unknown_ruleset_is_told_the_known_ones(tmp_path):
    with pytest.raises(
        RulesetError, match=r"no ruleset 'smok': take one of .*smoke, or a file ending in"
    ):
        ruleset.load("smok")
    with pytest.raises(
        RulesetError, match=r"No such file or directory; give the path of a TOML file"
    ):
        ruleset.load(str(tmp_path / "absent.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    with pytest.raises(RulesetError, match="not UTF-8 text"):
        ruleset.load(str(tmp_path / "binary.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RulesetError, match="Is a directory"):
        ruleset.load(str(tmp_path / "folder.toml"))
    assert "Expected '=' after a key" in refused("schema 1")


def test_a_ruleset_file_finds_its_baseline_beside_itself(tmp_path):
    (tmp_path / "my.toml").write_text(SMOKE)
    shipped = ruleset.load("smoke").baseline_text
    assert ruleset.load(str(tmp_path / "my.toml")).baseline_text == shipped
    (tmp_path / "other.toml").write_text(SMOKE.replace('"smoke.toml"', '"mine.toml"'))
    with pytest.raises(RulesetError, match=r"other\.toml: stats\.baseline names 'mine\.toml'"):
        ruleset.load(str(tmp_path / "other.toml"))
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "smoke.toml").write_text("anything")
    assert ruleset.load(str(tmp_path / "my.toml")).baseline_text == "anything"


# --- baselines ---

BASELINE = """
schema = 1
name = "x"
date = "2026-01-01"
source = "a test"
seeds = [1, 2]
nats_per_token = [1.5, 1.25]
bytes_per_token = 2.5
tokens = 5000
tokenizer_sha256 = "cd"
val_text_sha256 = ""
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[1, 2]", "[1, 1]", "a seed is listed twice in `seeds`; list each once"),
        ("[1, 2]", "[1, 2, 3]", "3 seeds but 2 nats_per_token; they must be as many"),
        ("1.25", "nan", "$.nats_per_token[1]"),
        ("1.25", "0.0", "$.nats_per_token[1]"),
        ("1.25", '"1.25"', "$.nats_per_token[1]"),
        ("[1, 2]", f"[1, {1 << 63}]", "$.seeds[1]"),
        ("tokens =", f"tokens = {1 << 54} #", "$.tokens"),
        ("2.5", "inf", "$.bytes_per_token"),
        ("seeds = [1, 2]", "seeds = []\n", "they must be as many"),
        ("name", "nmae", "unknown field `nmae`"),
        ("schema = 1", "schema = 2", "$.schema"),
        ("=", ":", "Expected '=' after a key"),
    ],
)
def test_a_broken_baseline_is_refused(old, new, says):
    with pytest.raises(RulesetError) as caught:
        ruleset.parse_baseline(BASELINE.replace(old, new, 1), "b.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("b.toml: ")


def test_an_empty_baseline_is_refused():
    text = BASELINE.replace("[1, 2]", "[]").replace("[1.5, 1.25]", "[]")
    with pytest.raises(RulesetError, match="no seeds; a baseline has at least one"):
        ruleset.parse_baseline(text, "b.toml")


def test_a_baseline_gives_the_record_that_was_written():
    record = ruleset.parse_baseline(BASELINE, "b.toml").record()
    assert (record.seeds, record.nats_per_token, record.bytes_per_token) == (
        (1, 2),
        (1.5, 1.25),
        2.5,
    )
    assert record.text_sha256 is None


def test_a_baseline_belongs_to_the_text_it_was_measured_on_else_to_its_tokens():
    unpublished = ruleset.parse_baseline(BASELINE, "b.toml")
    published = ruleset.parse_baseline(
        BASELINE.replace('text_sha256 = ""', 'text_sha256 = "ab"'), "b.toml"
    )
    assert published.record().text_sha256 == "ab"
    for text, tokenizer, tokens, by_text, by_tokens in (
        ("ab", "cd", 5000, True, True),
        ("ab", "zz", 9, True, False),
        ("zz", "cd", 5000, False, True),
        (None, "cd", 5000 + 2047, False, True),
        (None, "cd", 5000 - 2048, False, False),
        (None, None, 5000, False, False),
    ):
        told = {"text_sha256": text, "tokenizer_sha256": tokenizer, "tokens": tokens}
        assert published.measured_on(**told) == by_text
        assert unpublished.measured_on(**told) == by_tokens


def test_every_number_is_tried():
    assert len(NUMBERS) > 25
    assert all(name.split(".")[0] in dict(sections()) for name in NUMBERS)
    assert len(set(itertools.chain(NUMBERS))) == len(NUMBERS)
