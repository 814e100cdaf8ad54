"""`harness stats`: what `stats.margin` says of scores that somebody publishes, without a run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.stats_text import Against, Stats
    from harness.ruleset import Loaded

MAX_BYTES = 1 << 20
"""Read of a baseline file, or of standard input; ten thousand seeds at full precision fit."""
SMALLEST, LARGEST = 1e-6, 1e6
"""A score outside is no score but a slip of its unit; inside, no sum or square leaves what a float holds."""
TOKENS = 1 << 64
"""Length of the stream that stands for one score: a power of two, so that nothing is rounded on the way."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LIKE_A_NUMBER = re.compile(r"-([0-9.,]|inf|nan)", re.IGNORECASE)


# Unknown options are arguments here: to click, -1.88 is one, and its answer would be about an option -1.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("scores", nargs=-1, required=True)
@click.option(
    "--baseline", metavar="FILE", help="What to beat: a baseline file, or pr1019, which is shipped."
)
@click.option(
    "--ruleset",
    "ruleset_name",
    default="parameter-golf",
    show_default=True,
    help="Whose test, margin, alpha and least number of seeds: name or file.",
)
@click.option(
    "--bytes-per-token",
    metavar="X",
    help="Of the scores' own tokenizer, where it is not the baseline's: compares through bytes.",
)
@click.option(
    "--bits-per-byte",
    "in_bits",
    is_flag=True,
    help="The scores are bits per byte; the baseline's bytes per token make them nats per token.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def stats(
    context: click.Context,
    scores: tuple[str, ...],
    baseline: str | None,
    ruleset_name: str,
    bytes_per_token: str | None,
    in_bits: bool,
    as_json: bool,
) -> int:
    """Test SCORES, nats per token of one seed each, against a baseline, from the numbers alone.

    A score `-` stands for the numbers on standard input. The exit code is 0 where the ruleset's test is
    passed, 1 where it is not, 3 where nothing can be said (no baseline, too few seeds). That the numbers are
    valid scores, of seeds that nobody chose, on the baseline's text, is taken on trust.
    """
    from checks.contract import Status
    from harness import ruleset

    _refuse_options(context, scores)
    rules = ruleset.load(ruleset_name)
    given = tuple(numbers(scores))
    own = None
    if bytes_per_token is not None:
        own = _number(bytes_per_token, "--bytes-per-token", "bytes per token, such as 2.43592")
    if in_bits and baseline is None:
        raise UsageError(
            "--bits-per-byte: nothing says how many bytes a token has; give a --baseline, whose "
            "bytes per token make nats per token of bits per byte"
        )
    if in_bits and own is not None:
        raise UsageError(
            "--bits-per-byte: bits per byte are the same for every tokenizer; leave out --bytes-per-token"
        )
    against = None if baseline is None else _against(baseline)
    result = judge(given, against, rules, bytes_per_token=own, in_bits=in_bits)
    found = {Status.PASS: EXIT_PASS, Status.FAIL: EXIT_RULE_BROKEN}
    status = found.get(result.finding.status, EXIT_JUDGE)
    _show(result, status, as_json=as_json)
    return status


def judge(
    given: tuple[float, ...],
    against: Against | None,
    rules: Loaded,
    *,
    bytes_per_token: float | None = None,
    in_bits: bool = False,
) -> Stats:
    """Return what `stats.margin` says of these scores, at least one, and what it worked out.

    `bytes_per_token` is the scores' own tokenizer's, by default the baseline's. `in_bits` says that they are
    bits per byte, which needs a baseline.
    """
    import math

    import msgspec

    from checks import stats_margin
    from checks.contract import SeedScore
    from harness.report.stats_text import Stats

    base = against.file.record() if against else None
    rate = base.bytes_per_token if base else 1.0
    own = bytes_per_token or rate
    nats_S = tuple(x * math.log(2) * rate for x in given) if in_bits else given
    # The check adds up whole runs. Each score becomes one, so that check and command cannot come to differ.
    runs = [
        SeedScore(
            seed=index, sum_nats=nats * TOKENS, tokens=TOKENS, text_bytes=math.floor(own * TOKENS)
        )
        for index, nats in enumerate(nats_S)
    ]
    margin = rules.ruleset.margin()
    finding = stats_margin.check(runs, base, margin, text_sha256=None)
    basis = ""
    if base:
        nats_S, basis = stats_margin.exchange(runs, base)
    compared = finding.evidence.get("comparison")
    return Stats(
        finding=finding,
        rules=rules,
        against=against,
        given=given,
        unit="bits/byte" if in_bits else "nats/token",
        bytes_per_token=bytes_per_token,
        basis="from bits per byte" if in_bits else basis,
        sample=stats_margin.describe(nats_S),
        baseline=stats_margin.describe(base.nats_per_token) if base else None,
        comparison=msgspec.convert(compared, stats_margin.Comparison) if compared else None,
    )


def numbers(words: Sequence[str]) -> list[float]:
    """Return the scores in `words`, with those on standard input in the place of "-".

    Raises UsageError for none, for more than the check looks at, and for one that is no score.
    """
    from checks.stats_margin import MAX_SEEDS

    texts = [text for word in words for text in (_standard_input() if word == "-" else [word])]
    if not texts:
        raise UsageError("standard input: no score; give numbers with white space between them")
    if len(texts) > MAX_SEEDS:
        raise UsageError(f"{len(texts):,} scores; at most {MAX_SEEDS:,} are tested, so give fewer")
    return [
        _number(text, f"score {index}", "a number such as 1.8760, one a seed, spaces between them")
        for index, text in enumerate(texts, 1)
    ]


def _number(text: str, what: str, wanted: str) -> float:
    from harness.report.escape import for_terminal

    shown = f'{what}, "{for_terminal(text, 40)}"'
    if not _NUMBER.fullmatch(text):
        dotted = text.replace(",", ".")
        if _NUMBER.fullmatch(dotted):
            raise UsageError(f"{shown}: a comma is no decimal point; write {dotted[:40]}")
        raise UsageError(f"{shown}: not a finite number; give {wanted}")
    value = float(text)
    if not SMALLEST <= value <= LARGEST:
        raise UsageError(f"{shown}: not between {SMALLEST:f} and {LARGEST:,.0f}; give {wanted}")
    return value


def _refuse_options(context: click.Context, words: Sequence[str]) -> None:
    """Raise what click does for an option that does not exist, and leave negative numbers for later."""
    import difflib

    known = [option for parameter in context.command.params for option in parameter.opts]
    for word in words:
        if word.startswith("-") and word != "-" and not _LIKE_A_NUMBER.match(word):
            near = difflib.get_close_matches(word, known)
            raise click.NoSuchOption(word[:80], possibilities=near or None, ctx=context)


def _standard_input() -> list[str]:
    try:
        # None where the shell has closed it.
        data = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"standard input: {error.strerror}; give scores as arguments") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"standard input: more than {MAX_BYTES:,} bytes; give fewer scores")
    return data.decode("utf-8", "backslashreplace").split()


def _against(name: str) -> Against:
    """Return a baseline that is shipped, by its name, or one from a file."""
    import hashlib
    from importlib import resources

    from harness.report.stats_text import Against
    from harness.ruleset import parse_baseline

    folder = resources.files("harness") / "rulesets" / "baselines"
    shipped = {entry.name.removesuffix(".toml"): entry for entry in folder.iterdir()}
    data = shipped[name].read_bytes() if name in shipped else _read(name, sorted(shipped))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"--baseline {name}: not UTF-8 text; name a baseline file") from None
    file = parse_baseline(text, f"--baseline {name}")
    for value in (file.bytes_per_token, *file.nats_per_token):
        if value < SMALLEST:
            raise UsageError(f"--baseline {name}: {value:g} is below {SMALLEST:f}; mend the unit")
    return Against(file=file, sha256=hashlib.sha256(data).hexdigest())


def _read(name: str, shipped: Sequence[str]) -> bytes:
    known = f"name a baseline file, or one of {', '.join(shipped)}"
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise UsageError(f"--baseline {name}: {reason}; {known}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"--baseline {name}: more than {MAX_BYTES:,} bytes; {known}")
    return data


def _show(result: Stats, status: int, *, as_json: bool) -> None:
    import json

    from harness.report.stats_text import plain, render

    if as_json:
        values = {**plain(result), "exit_code": status}
        click.echo(json.dumps(values, indent=2, sort_keys=True, allow_nan=False))
        return
    from harness.commands.screen import screen

    click.echo(render(result, screen()), nl=False)
