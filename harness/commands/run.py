"""`harness run`: one submission, several seeds, one verdict."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import click

from harness.commands.options import format_option, progress_option, sandbox_option
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.data.dataset import Dataset
    from harness.ruleset import Loaded
    from harness.run import Run

PASSED = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
"""Variables of the judge's environment that a submission's processes get too."""


@click.command()
@click.argument("submission", required=False, type=click.Path(path_type=Path))
@click.option("--seeds", default="1337,42,2025", show_default=True, help="Seeds, by commas.")
@click.option("--ruleset", "ruleset_name", default="smoke", show_default=True, help="Name or file.")
@click.option("--data", "data_folder", type=click.Path(path_type=Path), help="A data folder.")
@click.option(
    "--baseline", "baseline_file", type=click.Path(path_type=Path), help="A baseline file."
)
@click.option("--out", default="runs", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Go on with a run that was cut off."
)
@sandbox_option
@progress_option
@click.option("--quiet", is_flag=True, help="Show no progress: --progress none.")
@format_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def run(
    submission: Path | None,
    seeds: str,
    ruleset_name: str,
    data_folder: Path | None,
    baseline_file: Path | None,
    out: Path,
    resume: Path | None,
    most: str,
    progress: str,
    quiet: bool,
    style: str,
    as_json: bool,
) -> int:
    """Train, seal, score, challenge and judge SUBMISSION, once for each seed.

    SUBMISSION is a folder with a submission.toml; without it, the reference submission is judged. Without
    --data, the embedded corpus is used. The run's folder is printed first; it holds report.json and
    report.html when the run is over.
    """
    from harness.commands.show import announce, chosen, conclude, listener, shown
    from harness.commands.watched import facts_of
    from harness.conduct import conduct
    from harness.run import Run

    context = click.get_current_context()
    progress = chosen(_progress(context, progress, quiet))
    say = partial(announce, progress=progress)
    if resume is not None:
        _refuse_with_resume(context)
        judged = Run(resume)
    else:
        judged = _create(submission, seeds, ruleset_name, data_folder, baseline_file, out, say)
    folder = shown(judged.folder)
    if progress != "json":  # there the first line says it
        say(f"run {folder}")
    for name, reason in judged.plan.snapshot.refused.items():
        say(f"not copied: {name} {reason}")
    with listener(facts_of(judged, folder), progress) as watching:
        try:
            conduct(judged, watching, passed_environment(), most=most)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            watching.note(f"go on with: harness run --resume {folder}")
            raise
    return conclude(judged, "json" if as_json else style)


def _create(
    submission: Path | None,
    seeds: str,
    ruleset_name: str,
    data_folder: Path | None,
    baseline_file: Path | None,
    out: Path,
    say: Callable[[str], None],
) -> Run:
    from harness import manifest, ruleset
    from harness.run import Run

    wanted = _seeds(seeds)
    rules = ruleset.load(ruleset_name)
    folder = submission or _reference()
    manifest.load(folder)  # before anything is built or hashed: a typo should not have to wait
    _writable(out)
    data = _data(rules, data_folder, out)
    return Run.create(
        root=out,
        submission=folder,
        rules=rules,
        data=data,
        seeds=wanted,
        baseline_text=_baseline(rules, data, baseline_file, say),
    )


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds, each once.

    Raises UsageError.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(
            f"--seeds {text!r}: seeds are whole numbers from 0 to 999999999, by commas, as in 1337,42,2025"
        )
    numbers = tuple(int(part) for part in parts)
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise UsageError(f"--seeds {text!r}: seed {twice[0]} is given twice; give each seed once")
    return numbers


def _reference() -> Path:
    """Return the reference submission's folder, found without importing it."""
    from importlib.util import find_spec

    for place in (Path(), Path("submission")):
        if (place / "submission.toml").is_file():
            return place
    spec = find_spec("submission")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(location) / "submission.toml").is_file():
            return Path(location)
    raise UsageError("no submission.toml here; name the folder of a submission")


def _writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):  # without a name: nothing of it is ever left
            pass
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}; choose a writable folder") from None


def _data(rules: Loaded, folder: Path | None, out: Path) -> Dataset:
    if folder is not None:
        from harness.data.dataset import open_dataset

        return open_dataset(folder)
    named = rules.ruleset.data.name
    if named != "synthetic-1":
        raise UsageError(
            f"ruleset {rules.ruleset.name} has no embedded data; name a data folder with --data "
            "(`harness data build` makes one)"
        )
    from harness.data.embedded import embedded

    return embedded(out / ".data" / named)


def _baseline(
    rules: Loaded, data: Dataset, file: Path | None, say: Callable[[str], None]
) -> str | None:
    """Return the baseline's text: the one given, else the ruleset's own where it belongs to this data."""
    from harness import ruleset

    if file is not None:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UsageError(f"--baseline {file}: {reason}; name a baseline file") from None
        ruleset.parse_baseline(text, str(file))
        return text
    if rules.baseline_text is None:
        return None
    own = ruleset.parse_baseline(rules.baseline_text, rules.ruleset.stats.baseline)
    if own.measured_on(
        text_sha256=data.val.text_sha256,
        tokenizer_sha256=data.tokenizer.sha256 if data.tokenizer else None,
        tokens=data.val.tokens,
    ):
        return rules.baseline_text
    say(
        f"{own.name}, the baseline of ruleset {rules.ruleset.name}, was measured on other data: "
        "stats.margin will be NOT-RUN; give one with --baseline"
    )
    return None


def passed_environment() -> dict[str, str]:
    """Return the variables of the judge's environment that a submission's processes get too."""
    return {name: os.environ[name] for name in PASSED if name in os.environ}


def _progress(context: click.Context, progress: str, quiet: bool) -> str:
    """Return how progress is asked to be shown; --quiet is another word for none."""
    if not quiet:
        return progress
    asked = context.get_parameter_source("progress") is click.core.ParameterSource.COMMANDLINE
    if asked and progress != "none":
        raise UsageError(f"--quiet and --progress {progress}: give one of them")
    return "none"


def _refuse_with_resume(context: click.Context) -> None:
    given = [
        name
        for name in ("submission", "seeds", "ruleset_name", "data_folder", "baseline_file", "out")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            "--resume goes on with what the run was asked; leave out SUBMISSION, --seeds, --ruleset, "
            "--data, --baseline and --out"
        )
