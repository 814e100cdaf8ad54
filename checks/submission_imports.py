"""submission.imports: what the two commands import is there for them: theirs, the ruleset's, or Python's.

Read, never run: from the file that a command starts, along its imports. A FAIL is given where the command
cannot but stop: an import at the top of a file that is surely reached, which nothing provides. What stands
behind a condition, in a function or in a `try` is advice at most, and so is everything where the code changes
how imports are looked up.

Does not catch: imports by a name made up at run time; a module of a package that has another one in this
version; code that runs before an import and stops there.
"""

from __future__ import annotations

from checks.contract import Finding, Status
from checks.submitted import Doubtful, Imports

ID = "submission.imports"
_NAMED = 3
"""How many imports a message names."""


def check(found: Imports) -> Finding:
    """Say whether every import that is surely reached resolves.

    What the ruleset allows and this machine lacks is NOT-RUN, with the command that installs it; so is a
    command whose file cannot be told.
    """
    broken = [each for each in found.doubtful if each.certain and not each.remedy]
    lacking = [each for each in found.doubtful if each.certain and each.remedy]
    unread = [f"{each.command}.command {each.unread}" for each in found.started if each.unread]
    if broken:
        status, message = Status.FAIL, _listed(broken)
    elif lacking:
        remedies = " && ".join(dict.fromkeys(each.remedy for each in lacking))
        status, message = Status.NOT_RUN, f"{_listed(lacking)}; install it: {remedies}"
    elif unread:
        status, message = Status.NOT_RUN, "; ".join(unread)
    else:
        status, message = Status.PASS, _resolved(found)
    return Finding(
        id=ID,
        status=status,
        message=message,
        measured=len(broken),
        limit=0,
        unit="unresolved",
        evidence={
            "files": found.files,
            "modules": found.modules,
            "commands": {each.command: each.words for each in found.started},
            "unresolved": [_line(each) for each in (*broken, *lacking)][:100],
        },
    )


def first(found: Imports) -> Doubtful | None:
    """Return what decides the finding and has a place; None where nothing does."""
    certain = [each for each in found.doubtful if each.certain]
    return next((each for each in certain if not each.remedy), next(iter(certain), None))


def advice(found: Imports) -> list[Doubtful]:
    """Return what a reader should look at besides: what is not sure to be reached, or sure to fail."""
    return [each for each in found.doubtful if not each.certain]


def _listed(doubtful: list[Doubtful]) -> str:
    more = f" (and {len(doubtful) - _NAMED} more)" if len(doubtful) > _NAMED else ""
    return "; ".join(map(_line, doubtful[:_NAMED])) + more


def _line(each: Doubtful) -> str:
    place = f"{each.file}:{each.line}" if each.line else each.file
    return f"{place}: {each.command} {each.message}"


def _resolved(found: Imports) -> str:
    modules = f"{found.modules:,} module{'' if found.modules == 1 else 's'}"
    files = f"{found.files:,} file{'' if found.files == 1 else 's'}"
    verb = "is" if found.modules == 1 else "are"
    return f"{modules} that {files} import{'s' if found.files == 1 else ''} {verb} there"
