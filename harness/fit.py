"""Whether a submission fits a ruleset, told before anything is started.

Nothing of the submission is run: a command whose program will not be there, or a scorer that the ruleset does
not take, costs a sentence and not a training.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from harness import manifest, ruleset
from harness.errors import ManifestError, UsageError
from harness.sandbox.programs import resolve


def check_fit(mine: manifest.Manifest, rules: ruleset.Ruleset, folder: Path) -> None:
    """Refuse a submission that the ruleset cannot judge.

    Raises UsageError, or ManifestError for a command that cannot be started.
    """
    path = folder / manifest.FILE_NAME
    if rules.score.predict == "required" and not mine.score.predict:
        raise UsageError(
            f"{path}: score.predict is false, but ruleset {rules.name} requires `predict`; add the method"
        )
    if mine.score.block_tokens > rules.score.max_block_tokens:
        raise UsageError(
            f"{path}: score.block_tokens is {mine.score.block_tokens}, but ruleset {rules.name} "
            f"allows {rules.score.max_block_tokens}; lower it"
        )
    _check_programs(mine, folder)


def _check_programs(mine: manifest.Manifest, folder: Path) -> None:
    """Refuse a command whose program will not be there, before anything is started."""
    path = folder / manifest.FILE_NAME
    sealed = {*map(mine.code_place, mine.artifact.code), *mine.artifact.output}
    for field, command in (("train", mine.train.command), ("score", mine.score.command)):
        program = PurePosixPath(command[0])
        if "/" not in command[0] or program.is_absolute():
            try:
                resolve(command, folder)
            except ManifestError as error:
                raise ManifestError(f"{path}: {field}.{error}") from None
        elif field == "score":
            _need(str(program) in sealed, path, field, command[0], "is not a file of the artifact")
        else:
            laid = (
                program.relative_to(mine.package)
                if program.is_relative_to(mine.package)
                else program
            )
            _need((folder / laid).is_file(), path, field, command[0], "is not a file of the folder")


def _need(there: bool, path: Path, field: str, program: str, problem: str) -> None:
    if not there:
        raise ManifestError(
            f"{path}: {field}.command: {program!r} {problem}; `python` is the judge's interpreter"
        )
