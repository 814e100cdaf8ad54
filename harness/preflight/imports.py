"""What a submission's two commands import, followed from file to file, and what of it would not be there.

Nothing is imported or run. Files are those of the judge's own copy: regular, of bounded size. What is surely
reached (at the top of a file that is surely reached) is told from what may be.

Does not decide: checks.submission_imports does, from the record.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from checks.submitted import Doubtful, Imports, Started
from harness.manifest import FILE_NAME, Manifest
from harness.packages import Missing
from harness.preflight.lookup import Provided, remedy
from harness.preflight.manifest_place import line_of
from harness.preflight.statements import NOT_PYTHON, Script, Statement, read_script
from harness.preflight.view import SDK_NAMES, Found, Kind, View, views

MAX_CHARACTERS = 20_000_000
"""Of all scripts of a submission together; what comes after is not read."""
MAX_PROBLEMS = 1_000
MAX_NAME = 200
"""Characters of a name that a message quotes."""
_LINE = re.compile(r"\(line (\d+)\)")
_FILES = re.compile(r"(?<!\w)([A-Za-z_]\w*+)(?:\.(?:py|so|zip|c|cpp|pyx)\b|/__init__)")
_WHY = {
    Kind.LEFT_OUT: "is in the folder but not in artifact.code",
    Kind.UNSEEN: "lies beside it, where -I or -P keep Python from looking",
    Kind.JUDGES: "is the judge's own; of it, harness.sdk alone is there",
    Kind.INCOMPLETE: "its package does not have",
    Kind.NOWHERE: "is neither the submission's nor the ruleset's nor Python's",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What following the imports found."""

    imports: Imports
    cuda: tuple[str, int] | None
    """File and line of a mention of CUDA in code that may be reached; None where there is none."""
    lacking: tuple[Doubtful, ...]
    """What the ruleset allows and this machine lacks, wherever it is imported."""


def scan(copied: Path, names: frozenset[str], manifest: Manifest, available: Provided) -> Scan:
    """Follow the imports of both commands through the files `names` of the judge's copy."""
    texts = _Texts(copied)
    walks = [_Walk(view, texts) for view in views(manifest, names, available)]
    started = tuple(walk.go() for walk in walks)
    doubtful: dict[tuple[str, int, str], Doubtful] = {}
    for each in (each for walk in walks for each in walk.doubtful()):
        known = doubtful.setdefault((each.file, each.line, each.message), each)
        if each.certain and not known.certain:
            doubtful[each.file, each.line, each.message] = each
    return Scan(
        imports=Imports(
            started=started,
            files=len({name for walk in walks for name in walk.read}),
            modules=len({name for walk in walks for name in walk.resolved}),
            doubtful=tuple(doubtful.values()),
        ),
        cuda=next((at for walk in walks if (at := walk.cuda())), None),
        lacking=tuple(each for each in doubtful.values() if each.remedy),
    )


class _Texts:
    """The scripts of the judge's copy, each read once."""

    def __init__(self, copied: Path) -> None:
        self._copied = copied
        self._scripts: dict[str, Script | str] = {}
        self._texts: dict[str, str] = {}
        self._left = MAX_CHARACTERS

    def text(self, name: str) -> str:
        """Return a file's text; "" where it is not UTF-8."""
        if name not in self._texts:
            self._texts[name] = ""
            path = self._copied / name
            if path.stat().st_size > self._left:
                self._scripts[name] = "more than is read of one submission"
                return ""
            try:
                self._texts[name] = path.read_bytes().decode("utf-8-sig")
                self._left -= len(self._texts[name])
            except UnicodeDecodeError:
                self._scripts[name] = "not UTF-8 text"
        return self._texts[name]

    def script(self, name: str) -> Script | str:
        """Return what a file imports, or why that cannot be told."""
        text = self.text(name)
        if name not in self._scripts:
            self._scripts[name] = read_script(text)
        return self._scripts[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """A file on the way."""

    place: str
    package: str
    """What its relative imports start from; "" for a script."""
    sure: bool
    """Whether it is surely reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """What does not resolve; whether that is sure is known when everything was read."""

    file: str
    line: int
    message: str
    sure: bool
    top: str = ""
    """The name that might yet come from somewhere; "" where no lookup can help."""
    missing: Missing | None = None


class _Walk:
    """The imports of one command."""

    def __init__(self, view: View, texts: _Texts) -> None:
        self._view, self._texts = view, texts
        self._sure: deque[_Visit] = deque()
        self._unsure: deque[_Visit] = deque()
        self._seen: set[tuple[str, str]] = set()
        self._problems: list[_Problem] = []
        self.read: set[str] = set()
        self.resolved: set[str] = set()

    def go(self) -> Started:
        """Follow everything that can be followed, what is surely reached first; return what was started."""
        view = self._view
        unread = view.start.unread or self._begin()
        while self._sure or self._unsure:
            self._file(self._sure.popleft() if self._sure else self._unsure.popleft())
        return Started(command=view.command, words=view.words[:1000], unread=unread)

    def cuda(self) -> tuple[str, int] | None:
        """Return a place that speaks of CUDA, the first by name, or None."""
        for name in sorted(self.read):
            script = self._texts.script(name)
            if not isinstance(script, str) and script.cuda:
                return name, script.cuda
        return None

    def doubtful(self) -> Iterator[Doubtful]:
        """Yield what does not resolve, as far as reading can tell."""
        scripts = [self._texts.script(name) for name in self.read]
        changed = any(not isinstance(script, str) and script.changes_lookup for script in scripts)
        spoken_of = self._files_spoken_of()
        for each in self._problems:
            helped = bool(each.top) and (changed or each.top in spoken_of)
            if each.missing is not None:  # nothing but a copy in the folder can help
                helped = changed and self._view.has_copy(each.top)
            yield Doubtful(
                command=self._view.command,
                file=each.file,
                line=each.line,
                message=each.message,
                certain=each.sure and not helped,
                remedy="" if each.missing is None else remedy(each.missing),
            )

    # --- where it starts ---

    def _begin(self) -> str:
        """Take up what the command starts; return why it cannot be followed, or ""."""
        view, start = self._view, self._view.start
        at = _Visit(place=FILE_NAME, package="", sure=True)
        line = line_of(self._texts.text(FILE_NAME), f"{view.command}.command")
        if start.launcher:
            self._need(at, line, start.launcher, sure=True)
        if start.file:
            place = str(PurePosixPath(start.file))
            if place in view.laid:
                self._visit(_Visit(place=place, package="", sure=True))
            elif place not in view.outputs:
                self._not_there(line, start.file, place in view.whole)
            return ""
        found = view.find(start.module)
        if found.kind is Kind.PROVIDED:
            what = start.module[:MAX_NAME]
            return f"starts {what}, which is not the submission's own and is not read"
        if found.kind is not Kind.OWN:
            if found.kind is Kind.LACKING:
                self._note(at, line, start.module, found, sure=True)
            else:
                self._not_there(line, start.module, found.kind is Kind.LEFT_OUT)
            return ""
        self._follow(found, sure=True)
        main = view.find(f"{start.module}.__main__")
        if main.kind is Kind.OWN and main.last in view.laid:
            self._visit(_Visit(place=main.last, package=start.module, sure=True))
        return ""

    def _not_there(self, line: int, what: str, in_folder: bool) -> None:
        where = {
            ("train", False): "which is not in the folder",
            ("score", False): "which is neither in the folder nor an output of training",
            ("score", True): "which is in the folder but not in artifact.code",
        }[self._view.command, in_folder]
        message = f"starts {what[:MAX_NAME]}, {where}"
        self._problems.append(_Problem(file=FILE_NAME, line=line, message=message, sure=True))

    # --- from file to file ---

    def _visit(self, visit: _Visit) -> None:
        (self._sure if visit.sure else self._unsure).append(visit)

    def _file(self, visit: _Visit) -> None:
        if (visit.place, visit.package) in self._seen:
            return
        self._seen.add((visit.place, visit.package))
        name = self._view.laid[visit.place]
        self.read.add(name)
        script = self._texts.script(name)
        if isinstance(script, str):
            said = _LINE.search(script)
            verb = "has" if script.startswith("more") else "is"
            words = f"needs this file, which {verb} {script}"
            sure = visit.sure and script.startswith(NOT_PYTHON)
            self._problem(visit, int(said[1]) if said else 0, words, sure=sure)
            return
        for statement in script.statements:
            self._statement(visit, statement)

    def _statement(self, visit: _Visit, statement: Statement) -> None:
        sure = visit.sure and statement.top
        module = statement.module
        if statement.level:
            base = _base(visit.package, statement.level)
            if base is None:
                words = f"has a relative import, and {visit.place} is not started as a part of a package"
                self._problem(visit, statement.line, words, sure=False)
                return
            module = ".".join(filter(None, (base, module)))
        found = self._need(visit, statement.line, module, sure=sure)
        if found is None:
            return
        for name in statement.names:
            self._taken(visit, statement.line, module, name, found, sure=sure)

    def _need(self, visit: _Visit, line: int, module: str, *, sure: bool) -> Found | None:
        """Resolve one module and follow it; None where it is not there."""
        found = self._view.find(module)
        if found.kind in (Kind.OWN, Kind.PROVIDED):
            self.resolved.add(module)
            self._follow(found, sure=sure)
            return found
        self._note(visit, line, module, found, sure=sure)
        return None

    def _taken(
        self, visit: _Visit, line: int, module: str, name: str, package: Found, *, sure: bool
    ) -> None:
        """Look after a name that a `from` import takes: it may be a module, or a name in one."""
        if module == "harness" and package.kind is Kind.PROVIDED:
            if name not in SDK_NAMES:
                self._note(visit, line, f"harness.{name}", Found(kind=Kind.JUDGES), sure=sure)
            return
        if package.kind is Kind.PROVIDED or name == "*":
            return
        inner = f"{module}.{name}"
        found = self._view.find(inner)
        if found.kind is Kind.OWN:
            self.resolved.add(inner)
            self._follow(found, sure=sure)
        elif not self._has(package.last, name):
            self._note(visit, line, inner, found, sure=sure)

    def _has(self, init: str, name: str) -> bool:
        """Return whether a package may have a name of its own; a folder without an __init__.py has none.

        Whether a plain module has a name is no question of what is there: it is not asked.
        """
        if not init:
            return False
        if not init.endswith("/__init__.py") or init not in self._view.laid:
            return True  # or an output of training: nobody knows yet
        script = self._texts.script(self._view.laid[init])
        return isinstance(script, str) or script.open_names or name in script.bound

    def _follow(self, found: Found, *, sure: bool) -> None:
        for place, module in found.runs:
            is_package = place.endswith("/__init__.py")
            package = module if is_package else module.rpartition(".")[0]
            self._visit(_Visit(place=place, package=package, sure=sure))

    # --- what is not there ---

    def _note(self, visit: _Visit, line: int, module: str, found: Found, *, sure: bool) -> None:
        missing, module = found.missing, module[:MAX_NAME]
        if missing is not None:
            words = _lacking(module, missing, found.certain_of)
        else:
            words = f"imports {module}, which {_WHY[found.kind]}"
        top = "" if found.kind is Kind.JUDGES else module.partition(".")[0]
        self._problem(visit, line, words, sure=sure, top=top, missing=missing)

    def _problem(
        self,
        visit: _Visit,
        line: int,
        message: str,
        *,
        sure: bool,
        top: str = "",
        missing: Missing | None = None,
    ) -> None:
        if len(self._problems) >= MAX_PROBLEMS:
            return
        name = self._view.laid.get(visit.place, visit.place)
        self._problems.append(
            _Problem(file=name, line=line, message=message, sure=sure, top=top, missing=missing)
        )

    def _files_spoken_of(self) -> set[str]:
        """Return the modules that scripts name as files: they may be about to write them."""
        return {found for name in self.read for found in _FILES.findall(self._texts.text(name))}


def _base(package: str, level: int) -> str | None:
    """Return the package that `level` dots lead to, or None where they lead out of all."""
    parts = package.split(".") if package else []
    return ".".join(parts[: len(parts) - level + 1]) if level <= len(parts) else None


def _lacking(module: str, missing: Missing, certain: bool) -> str:
    what = f"{missing.name} {missing.version}".strip() if missing.version else missing.name
    of = f"of {what}" if certain else f"which may come with {missing.name}"
    if missing.state == "wrong version":
        return f"imports {module} {of}: the ruleset asks for {missing.requirement}"
    return f"imports {module} {of}, which the ruleset allows and this machine lacks"
