"""`harness stats`: the check's own p-values of numbers alone, exit codes, a sentence for what is no score."""

import io
import json
import math
import re
import shlex
import subprocess

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from checks import stats_margin
from checks.contract import Status
from harness import ruleset
from harness.commands import stats as command
from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN, EXIT_USAGE
from harness.report.stats_text import Against, plain, render
from tests.judged import BASELINE, ROOT, environment
from tests.judged import command as command_line

PR1302 = (1.8759533, 1.87342257, 1.87626598)
PR1307 = (1.87679853, 1.87239786, 1.87233216, 1.87531400)
PR1019 = (1.88276292, 1.88156874, 1.88220393)
RATE = 2.43592
ACTING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
EXITS = {Status.PASS: EXIT_PASS, Status.FAIL: EXIT_RULE_BROKEN, Status.NOT_RUN: EXIT_JUDGE}

# On a grid of 1e-5 nats, close enough to collide.
NATS = st.integers(180_000, 200_000).map(lambda grid: grid / 1e5)
SCORES = st.lists(NATS, min_size=1, max_size=6)
RULES = st.builds(
    lambda name, test: changed(ruleset.load(name), test=test),
    st.sampled_from(ruleset.shipped()),
    st.sampled_from(["welch", "one-sample"]),
)


def changed(loaded, **stats):
    rules = loaded.ruleset
    new = msgspec.structs.replace(rules, stats=msgspec.structs.replace(rules.stats, **stats))
    return msgspec.structs.replace(loaded, ruleset=new)


def against(nats=PR1019, rate=RATE, name="to beat"):
    file = ruleset.parse_baseline(BASELINE.format(1, 2, 3, rate), "a test")
    seeds = tuple(range(len(nats)))
    return Against(
        file=msgspec.structs.replace(file, name=name, nats_per_token=tuple(nats), seeds=seeds),
        sha256="",
    )


def readings(result):
    return result.comparison.readings if result.comparison else ()


def ps(*arguments, **more):
    """The p-values by test and margin, and the whole of the JSON."""
    done = asked(*arguments, "--json", **more)
    said = json.loads(done.stdout)
    return {(r["test"], r["margin_nats"]): r["p"] for r in said["readings"]}, said


def asked(*arguments, stdin=None):
    """`harness stats ARGUMENTS` in this process; what it returned is its exit code."""
    done = CliRunner().invoke(
        command.stats, [str(a) for a in arguments], input=stdin, standalone_mode=False
    )
    if done.exception is not None:
        raise done.exception
    return done


@pytest.fixture
def file(tmp_path):
    """Write a baseline file; some of its lines replaced."""

    def written(*nats, rate=RATE, **lines):
        text = BASELINE.format(1, 2, 3, rate)
        nats = nats or PR1019
        lines = {
            "seeds": list(range(len(nats))), "nats_per_token": list(nats), **lines
        }  # fmt: skip
        for field, value in lines.items():
            text = re.sub(
                rf"(?m)^{field} = .*$",
                lambda _, f=field, v=value: f"{f} = {json.dumps(v, ensure_ascii=False)}",
                text,
            )
        path = tmp_path / "base.toml"
        path.write_text(text)
        return path

    return written


# Properties.


@given(SCORES, SCORES, RULES)
def test_nothing_is_rounded_on_the_way_to_the_check(nats, base, rules):
    result = command.judge(tuple(nats), against(base), rules)
    assert result.sample == stats_margin.describe(nats)
    assert result.baseline == stats_margin.describe(base)
    if len(nats) > 1:
        expected = stats_margin.compare(nats, base, rules.ruleset.margin())
        assert result.comparison == expected
        said, whole = plain(result), stats_margin.as_json(expected)
        for name in (
            "improvement_nats", "sufficient_nats", "seeds_needed", "seeds_note"
        ):  # fmt: skip
            assert said[name] == whole[name]
        assert json.loads(json.dumps(said["improvement_ci"])) == whole["improvement_ci"]
        assert [r | {"decides": i == 0} for i, r in enumerate(whole["readings"])] == said[
            "readings"
        ]


@given(SCORES, SCORES, RULES, st.data())
def test_the_order_of_scores_does_not_matter(nats, base, rules, data):
    one = command.judge(tuple(nats), against(base), rules)
    other = command.judge(tuple(data.draw(st.permutations(nats))), against(base), rules)
    assert (one.finding.status, one.finding.message) == (
        other.finding.status,
        other.finding.message,
    )
    assert readings(one) == readings(other)


@given(SCORES, SCORES, RULES, st.integers(-170_000, 200_000).map(lambda grid: grid / 1e5))
def test_a_constant_added_to_both_sides_changes_nothing_but_the_means(nats, base, rules, shift):
    one = command.judge(tuple(nats), against(base), rules)
    moved = command.judge(
        tuple(round(x + shift, 5) for x in nats),
        against([round(x + shift, 5) for x in base]),
        rules,
    )
    assert moved.sample.mean == pytest.approx(one.sample.mean + shift)
    for before, after in zip(readings(one), readings(moved), strict=True):
        assert before.undefined == after.undefined
        if before.p is not None:
            assert after.t == pytest.approx(before.t, rel=1e-6, abs=1e-6)
            assert after.p == pytest.approx(before.p, rel=1e-4, abs=1e-12)


@given(SCORES, SCORES, RULES, st.integers(1, 10_000).map(lambda grid: grid / 1e5))
def test_p_falls_as_scores_improve(nats, base, rules, gain):
    assume(len(nats) > 1)
    one = command.judge(tuple(nats), against(base), rules)
    better = command.judge(tuple(round(x - gain, 5) for x in nats), against(base), rules)
    for before, after in zip(readings(one), readings(better), strict=True):
        if before.p is not None:
            # Beyond 1e-9 from either end a float tells them apart; nearer, they may come to be equal.
            assert after.p < before.p if 1e-9 < before.p < 1 - 1e-9 else after.p <= before.p
            assert after.t < before.t


@given(SCORES, st.sampled_from(["pr1019", "smoke"]), st.sampled_from(ruleset.shipped()))
def test_the_exit_code_is_the_verdicts_and_json_holds_no_nan(nats, base, rules):
    arguments = [*map(repr, nats), "--baseline", base, "--ruleset", rules]
    done = asked(*arguments, "--json")

    def refuse(word):
        raise AssertionError(word)

    said = json.loads(done.stdout, parse_constant=refuse)
    assert done.return_value == said["exit_code"] == EXITS[Status(said["verdict"])]
    assert said["given"]["scores"] == nats
    assert [reading["decides"] for reading in said["readings"]] == (
        [True, False, False, False] if len(nats) > 1 else []
    )
    shown = asked(*arguments)
    assert shown.return_value == done.return_value
    assert shown.stdout.startswith(f" {said['verdict']} ")


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6),
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=4),
    st.floats(1e-6, 1e6),
    st.none() | st.floats(1e-6, 1e6),
    RULES,
)
def test_any_scores_that_are_let_in_are_judged_and_shown(nats, base, rate, own, rules):
    for in_bits in (False, True):
        result = command.judge(
            tuple(nats), against(base, rate), rules,
            bytes_per_token=None if in_bits else own, in_bits=in_bits,
        )  # fmt: skip
        assert result.finding.status in EXITS
        json.dumps(plain(result), allow_nan=False)
        text = render(result, Console(file=io.StringIO()))
        assert not re.search(r"\b(nan|inf|None)\b", text)


@given(SCORES, SCORES, st.floats(1, 8), st.floats(1, 8))
def test_another_tokenizer_is_compared_through_bytes(nats, base, rate, own):
    assume(abs(own / rate - 1) > 1e-3)
    rules = ruleset.load("parameter-golf")
    result = command.judge(tuple(nats), against(base, rate), rules, bytes_per_token=own)
    assert result.basis == "through bytes"
    assert result.sample.nats_per_token == pytest.approx([x / own * rate for x in nats])
    # Bits per byte are the same for every tokenizer.
    bits = tuple(x / own / math.log(2) for x in nats)
    other = command.judge(bits, against(base, rate), rules, in_bits=True)
    assert other.basis == "from bits per byte"
    assert other.sample.nats_per_token == pytest.approx(result.sample.nats_per_token)


@given(st.text(max_size=12) | st.from_regex(r"[-+.,eE0-9]{1,8}", fullmatch=True))
def test_any_word_is_a_number_or_one_sentence_that_names_it(word):
    assume(word != "-")
    try:
        (value,) = command.numbers([word])
    except command.UsageError as error:
        said = str(error)
    else:
        assert value == float(word)
        assert 1e-6 <= value <= 1e6
        return
    assert said.startswith('score 1, "')
    assert "\n" not in said


# The contest's figures.


def test_the_sliding_losses_of_pr1302_are_no_record():
    found, said = ps("--baseline", "pr1019", *PR1302)
    assert (said["verdict"], said["exit_code"]) == ("FAIL", EXIT_RULE_BROKEN)
    assert found[("welch", 0.005)] == pytest.approx(0.07462, abs=5e-6)
    assert found[("welch", 0.0)] == pytest.approx(0.00447, abs=5e-6)
    assert found[("one-sample", 0.005)] == pytest.approx(0.08040, abs=5e-6)
    assert said["seeds_needed"] == 8
    assert said["readings"][0]["t"] == pytest.approx(-2.038, abs=5e-4)


def test_the_published_one_sample_p_is_that_of_a_rounded_mean(file):
    found, said = ps("--baseline", file(1.8822), *PR1302)
    assert found[("one-sample", 0.005)] == pytest.approx(0.0791, abs=5e-5)
    assert found[("welch", 0.005)] is None
    assert (said["verdict"], said["exit_code"]) == ("NOT-RUN", EXIT_JUDGE)
    assert "Welch's test needs two seeds of the baseline" in said["message"]


def test_pr1307_turns_on_the_null_hypothesis(tmp_path):
    found, said = ps("--baseline", "pr1019", *PR1307)
    first = said["readings"][0]
    assert (first["t"], first["df"]) == pytest.approx((-2.558, 3.56), abs=5e-3)
    assert found[("welch", 0.005)] == pytest.approx(0.0352, abs=5e-5)
    assert found[("welch", 0.0)] == pytest.approx(0.0017853, abs=5e-8)
    assert said["exit_code"] == EXIT_RULE_BROKEN
    text = ruleset.load("parameter-golf").text
    assert "margin_in_null = true" in text
    rules = tmp_path / "lenient.toml"
    rules.write_text(text.replace("margin_in_null = true", "margin_in_null = false"))
    found, said = ps("--baseline", "pr1019", "--ruleset", rules, *PR1307)
    assert (said["exit_code"], said["readings"][0]["p"]) == (EXIT_PASS, found[("welch", 0.0)])


def test_bits_per_byte_of_the_same_losses_come_to_the_same():
    bits = [x / math.log(2) / RATE for x in PR1302]
    nats, _ = ps("--baseline", "pr1019", *PR1302)
    through, said = ps("--baseline", "pr1019", "--bits-per-byte", *bits)
    assert through == pytest.approx(nats)
    assert (said["basis"], said["given"]["unit"]) == ("from bits per byte", "bits/byte")
    shown = asked("--baseline", "pr1019", "--bits-per-byte", *bits).stdout
    assert "bits per byte times ln 2 times 2.43592" in shown


def test_a_published_rate_of_few_digits_is_still_the_same_tokenizer():
    _, said = ps("--baseline", "pr1019", "--bytes-per-token", "2.436", *PR1302)
    assert said["basis"] == "per token"
    _, said = ps("--baseline", "pr1019", "--bytes-per-token", "2.44", *PR1302)
    assert said["basis"] == "through bytes"
    shown = " ".join(
        asked("--baseline", "pr1019", "--bytes-per-token", "2.44", *PR1302).stdout.split()
    )
    assert "scores times 2.43592 / 2.44," in shown
    assert "compared through bytes" in shown


# What cannot be judged.


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((1.8,), "no baseline to compare with"),
        ((1.8, 1.7, 1.6), "no baseline to compare with"),
        (("--baseline", "pr1019", 1.8), "1 seed has no interval; give at least 2"),
        (("--baseline", "pr1019", 1.8, 1.81), "2 seeds, the ruleset asks for 3"),
        (("--baseline", "pr1019", 1.8, 1.8), "2 seeds, the ruleset asks for 3"),
    ],
)
def test_not_run_is_never_a_pass_however_good(arguments, says):
    _, said = ps(*arguments)
    assert (said["verdict"], said["exit_code"]) == ("NOT-RUN", EXIT_JUDGE)
    assert says in said["message"]
    shown = asked(*arguments)
    assert shown.return_value == EXIT_JUDGE
    assert says in shown.stdout
    assert said["sample"]["mean"] == pytest.approx(
        stats_margin.describe([x for x in arguments if isinstance(x, float)]).mean
    )


def test_one_score_has_no_deviation_and_no_interval():
    shown = asked("--baseline", "pr1019", 1.8).stdout
    assert re.search(r"scores +1 +1\.800000 +unknown +none", shown)
    assert re.search(r"baseline +3 +1\.882179 +0\.0005975 +1\.880694 to 1\.883663", shown)


def test_identical_scores_leave_welchs_test_alone_and_say_why(file):
    found, _ = ps("--baseline", "pr1019", 1.8, 1.8, 1.8)
    assert found[("one-sample", 0.005)] is None
    assert found[("welch", 0.005)] < 1e-4
    shown = asked("--baseline", "pr1019", 1.8, 1.8, 1.8).stdout
    assert "one-sample t: the seeds' scores are identical" in shown
    done = asked("--baseline", file(1.9, 1.9, 1.9), 1.8, 1.8, 1.8)
    assert done.return_value == EXIT_JUDGE
    assert "no noise to test against" in " ".join(done.stdout.split())


# What is no score.


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("-1.88", "not between 0.000001 and 1,000,000"),
        ("-.5", "not between"),
        ("0", "not between"),
        ("1e400", "not between"),
        ("1e-400", "not between"),
        ("9" * 5000, "not between"),
        ("nan", "not a finite number"),
        ("-nan", "not a finite number"),
        ("inf", "not a finite number"),
        ("-inf", "not a finite number"),
        ("1,8760", "a comma is no decimal point; write 1.8760"),
        ("-1,8760", "a comma is no decimal point"),
        ("1.8760,1.8734", "not a finite number"),
        ("1_8", "not a finite number"),
        ("١", "not a finite number"),
        ("", "not a finite number"),
        ("\x1b[31m1.8", "not a finite number"),
        ("pr1019", "not a finite number"),
    ],
)
def test_what_is_no_score_is_named_in_one_sentence(desk, word, says):
    said = desk.refuses("stats", "1.88", word, "--baseline", "pr1019")
    shown = "\\x1b[31m1.8" if "\x1b" in word else word[:40]
    assert said.startswith(f'harness: score 2, "{shown}')
    assert says in said
    assert len(said) < 200


@pytest.mark.parametrize("value", ["nan", "-1", "0", "1e400", "2,4", "", "two"])
def test_bytes_per_token_is_a_number_too(desk, value):
    said = desk.refuses("stats", "1.88", "--baseline", "pr1019", "--bytes-per-token", value)
    assert said.startswith(f'harness: --bytes-per-token, "{value}": ')


def test_bits_per_byte_need_a_rate_and_one_only(desk):
    assert "give a --baseline" in desk.refuses("stats", "1.1", "--bits-per-byte")
    said = desk.refuses(
        "stats", "1.1", "--bits-per-byte", "--bytes-per-token", "2", "--baseline", "pr1019"
    )
    assert "leave out --bytes-per-token" in said


@pytest.mark.parametrize(
    ("word", "says"),
    [("--basline", "Did you mean '--baseline'?"), ("-x", "No such option '-x'"), ("--", "Missing")],
)
def test_a_mistyped_option_is_no_score(desk, word, says):
    status, out, err = desk("stats", word)
    assert (status, out) == (EXIT_USAGE, "")
    assert says in err


def test_thousands_of_scores_are_tested_and_more_are_refused(desk):
    nats = [f"{1.80 + index % 7 / 1000}" for index in range(3000)]
    status, out, _ = desk("stats", "--baseline", "pr1019", "--json", *nats)
    said = json.loads(out)
    assert (status, len(said["sample"]["nats_per_token"])) == (EXIT_PASS, 3000)
    said = desk.refuses("stats", *["1.8"] * 10_001)
    assert said == "harness: 10,001 scores; at most 10,000 are tested, so give fewer"


def test_scores_come_from_standard_input_where_a_dash_is():
    _, said = ps("--baseline", "pr1019", "1.80", "-", "1.83", stdin="1.81\n 1.82\t\n")
    assert said["given"]["scores"] == [1.80, 1.81, 1.82, 1.83]
    for text, says in (
        ("", "standard input: no score"),
        ("1.8 x", 'score 2, "x"'),
        (b"\xff", 'score 1, "'),
        ("1 " * 600_000, "more than 1,048,576 bytes"),
    ):
        with pytest.raises(command.UsageError, match=re.escape(says)):
            asked("-", stdin=text)


def test_a_closed_standard_input_is_an_empty_one():
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join(command_line('stats', '-'))} <&-"],
        capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (EXIT_USAGE, "")
    assert done.stderr.startswith("harness: standard input: no score")


# Baseline files.


HOSTILE = "\x1b[31m\x1b]0;owned\x07 ::error::x \u202e [red]m[/red] 🎵"


def test_a_name_with_escapes_is_shown_and_does_nothing(file):
    path = file(name=HOSTILE, source=HOSTILE)
    for arguments in ([*PR1302], [1.8]):
        shown = asked("--baseline", path, *arguments).stdout
        assert not ACTING.search(shown)
        assert "::" not in shown
    words = " ".join(asked("--baseline", path, *PR1302).stdout.split())
    assert r"\x1b[31m\x1b]0;owned\x07" in words
    assert r"\u202e [red]m[/red]" in words
    assert ps("--baseline", path, *PR1302)[1]["baseline"]["name"] == HOSTILE


def test_on_a_terminal_the_only_escapes_are_colours(file):
    found = command._against(str(file(name=HOSTILE)))
    result = command.judge(PR1302, found, ruleset.load("parameter-golf"))
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=60)
    text = render(result, console)
    assert "\x1b[1;31m" in text
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not ACTING.search(bare)
    assert max(map(len, bare.splitlines())) <= 80
    assert re.search(r"better by no more than 0\.005 +-2\.038 +2\.57 +0\.074619  decides\n", bare)


def test_a_long_name_does_not_push_the_figures_out(file):
    path = file(name="n" * 100_000)
    shown = " ".join(asked("--baseline", path, *PR1302).stdout.split())
    assert "p = 0.0746 for H0" in shown
    assert len(shown) < 3000


def test_an_output_that_is_not_utf_8_gets_escapes():
    done = subprocess.run(
        command_line("stats", "--baseline", "pr1019", *PR1302),
        capture_output=True, cwd=ROOT, timeout=60, env=environment({"PYTHONIOENCODING": "ascii"}),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (EXIT_RULE_BROKEN, b"")
    assert rb"\u201cbetter by no more than 0.005\u201d" in b" ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ({"nats_per_token": [1.0, 2.0]}, "3 seeds but 2 nats_per_token"),
        ({"nats_per_token": [1.0, 2.0, -3.0]}, "$.nats_per_token[2]"),
        ({"nats_per_token": [1.0, 2.0, 1e-320]}, "is below 0.000001; mend the unit"),
        ({"bytes_per_token": 1e-310}, "is below 0.000001; mend the unit"),
        ({"seeds": [1, 1, 2]}, "a seed is listed twice"),
        ({"name": 7}, "$.name"),
    ],
)
def test_a_bad_baseline_file_is_refused(desk, file, lines, says):
    path = file(**lines)
    said = desk.refuses("stats", "--baseline", path, *PR1302)
    assert says in said
    assert str(path) in said


def test_what_is_no_baseline_file_at_all_is_refused(desk, tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "big.toml").write_bytes(b"#" * 2_000_000)
    for name, says in (
        ("bytes.toml", "not UTF-8 text"),
        ("big.toml", "more than 1,048,576 bytes"),
        ("none.toml", "No such file or directory; name a baseline file, or one of pr1019, smoke"),
        (".", "Is a directory"),
        ("a\0b", "no path"),
        ("no\x1b[31m", r"--baseline no\x1b[31m: No such file"),
    ):
        assert says in desk.refuses("stats", "1.8", "--baseline", name)
    assert "no ruleset 'nope'" in desk.refuses("stats", "1.8", "--ruleset", "nope")


def test_the_name_of_a_ruleset_is_made_harmless_too(tmp_path):
    text = ruleset.load("parameter-golf").text
    assert 'name = "parameter-golf"' in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('name = "parameter-golf"', r'name = "\u001b[2J::x"', 1))
    shown = asked("--baseline", "pr1019", "--ruleset", path, *PR1302).stdout
    assert r"ruleset \x1b[2J\x3a:x: Welch, p < 0.01" in shown


def test_a_p_that_rounds_to_alpha_is_written_in_full():
    rules, found = ruleset.load("parameter-golf"), command._against("pr1019")
    p = readings(command.judge(PR1302, found, rules))[0].p
    alpha = float(f"{p:.5g}")
    assert alpha != p
    result = command.judge(PR1302, found, changed(rules, alpha=alpha))
    assert f"{p!r}  decides" in render(result, Console(file=io.StringIO()))


# The page.


def test_the_page_shows_what_the_command_prints():
    text = (ROOT / "docs" / "stats.md").read_text("utf-8")
    blocks = re.findall(r"(?ms)^\$ (harness stats [^\n]*)\n(.*?)^```$", text)
    assert blocks
    for line, shown in blocks:
        done = subprocess.run(
            command_line(*shlex.split(line)[1:]),
            capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=60,
        )  # fmt: skip
        assert done.stdout == shown
        assert done.stderr == ""
