"""One record folder read: submission.json, logs, sizes of scripts and weights.

Links are not followed, nothing is executed, and what is too much (files, logs, depth) is left out and said.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from checks.published import Claims, Log, Published, Run, Value
from harness.audit import text as log_text
from harness.audit.claimed import read_claims
from harness.audit.discovery import CLAIMS, LOG, MAX_DEPTH, NO_LOG, entries_of, is_file, is_folder
from harness.audit.headline import find_headline
from harness.audit.json_lines import MAX_BYTES, read_json
from harness.audit.log import read_log

MAX_FILES = 5_000
MAX_LOGS = 200
MAX_TRAININGS = 600
"""Of all logs of a folder together, each of which may hold several."""
LOG_BYTES = 128 << 20
"""Read of all logs of a folder together."""
MAX_PROBLEMS = 100
_PACKED = re.compile(r"\.(?:log|txt|out)\.(?:gz|xz|zst|bz2|lz4|lzma|br|zip)$", re.I)
_LINES_OF_JSON = re.compile(r"\.(?:jsonl|ndjson)(?:\.(?:gz|xz|zst|bz2|lz4|zip))?$", re.I)
_SCRIPT = re.compile(r"\.(?:py|sh|c|cc|cpp|cu|h|pyx)$", re.I)
_ARTIFACT = re.compile(r"\.(?:ptz|pt|pth|bin|npz|safetensors|br|zst|xz|lzma|ptz\.\w+)$", re.I)
_DATE = re.compile(r"(?<!\d)(20[2-9]\d-[01]\d-[0-3]\d)(?!\d)")
_DAYS_APART = 3
"""A record may be written some days before it is published."""
_PULL = re.compile(r"(?:^|/)(?:pr|pull|pull_)#?(\d{1,6})(?:/|$)", re.I)
_NON_RECORD = re.compile(r"non[-_ ]?record", re.I)
_TRACKS = {"track_non_record_16mb": "non-record", "track_10min_16mb": "record"}
"""Folders that say which track a record lies in."""


def read_folder(folder: Path, name: str) -> Published:
    """Return everything that a record folder states; what cannot be read becomes one of its `problems`."""
    problems: list[Value[str]] = []
    files = _files(folder, problems)
    claims = _claims(folder, files, problems)
    logs = _logs(folder, files, problems)
    headline = find_headline(claims, logs)
    of_seed = _by_seed(logs)
    return Published(
        id=name,
        date=_date(claims, folder.absolute().name, problems),
        track=_track(claims, folder.absolute()),
        pull_request=_pull_request(str(folder.absolute())),
        claims=claims,
        headline=replace(headline, runs=tuple(_joined(run, of_seed) for run in headline.runs)),
        logs=tuple(logs),
        scripts=tuple(
            Value(size, shown(file), 0) for file, size in files.items() if _SCRIPT.search(file)
        ),
        artifacts=tuple(
            Value(size, shown(file), 0)
            for file, size in files.items()
            if _ARTIFACT.search(file) and not _PACKED.search(file)
        ),
        texts=tuple(_texts(folder, files, claims)),
        problems=_few(problems),
    )


def _few(problems: list[Value[str]]) -> tuple[Value[str], ...]:
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    more = len(problems) - MAX_PROBLEMS
    # What is said of the folder as a whole may not be lost among names that somebody made in thousands.
    problems = sorted(problems, key=lambda problem: problem.file != ".")
    return (*problems[:MAX_PROBLEMS], Value(f"{more:,} more of such files", ".", 0))


def _files(folder: Path, problems: list[Value[str]]) -> dict[str, int]:
    """Return the sizes of the regular files of a folder, by their names within it, sorted."""
    found: dict[str, int] = {}
    stack = [("", 0)]
    more, folders = False, 0
    while stack and not more:
        prefix, depth = stack.pop()
        entries = entries_of(folder / prefix)
        if entries is None:
            problems.append(Value("cannot be listed", shown(prefix) or ".", 0))
            continue
        below = []
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                problems.append(Value("is a link; not followed", shown(name), 0))
            elif is_folder(entry):
                below.append((name + "/", depth + 1))
            elif is_file(entry):
                if len(found) < MAX_FILES or name == CLAIMS:
                    found[name] = _size(entry)
                else:
                    more = True
        if depth >= MAX_DEPTH:
            problems += [Value("lies too deep; not read", shown(name), 0) for name, _ in below]
            below = []
        folders += len(below)
        more = more or folders > MAX_FILES
        stack += reversed(below)
    if more:
        said = f"more than {MAX_FILES:,} files or folders; not all are read"
        problems.append(Value(said, ".", 0))
    return dict(sorted(found.items()))


def shown(name: str) -> str:
    """Return a file's name as text that can be written: bytes that are no UTF-8 as their numbers."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _claims(folder: Path, files: dict[str, int], problems: list[Value[str]]) -> Claims | None:
    if CLAIMS not in files:
        return None
    data = read_start(folder / CLAIMS, MAX_BYTES + 1)
    if data is None:
        problems.append(Value("cannot be read", CLAIMS, 0))
        return None
    return read_claims(CLAIMS, read_json(data))


def _logs(folder: Path, files: dict[str, int], problems: list[Value[str]]) -> list[Log]:
    logs: list[Log] = []
    for name in _log_names(files, problems):
        text = log_text.read(folder / name)
        if text.problem:
            problems.append(Value(text.problem, shown(name), 0))
        elif text.skipped_bytes:
            said = f"{text.size_bytes:,} bytes; {text.skipped_bytes:,} in the middle are not read"
            problems.append(Value(said, shown(name), 0))
        parts = read_log(shown(name), text, problems)
        if (
            name.lower().endswith(".log")
            or text.problem
            or any(_states_anything(log) for log in parts)
        ):
            logs += parts
    if len(logs) > MAX_TRAININGS:
        said = f"{len(logs):,} trainings in its logs; the first {MAX_TRAININGS} are judged"
        problems.append(Value(said, ".", 0))
    return logs[:MAX_TRAININGS]


def _log_names(files: dict[str, int], problems: list[Value[str]]) -> list[str]:
    """Return the names of the logs to read; where they are too many or too large, *.log before others."""
    for file in files:
        if _PACKED.search(file):
            problems.append(Value("is packed; not read", shown(file), 0))
        elif _LINES_OF_JSON.search(file):
            problems.append(Value("has lines of JSON; not read", shown(file), 0))
    found = [f for f in files if LOG.search(f) and not NO_LOG.match(PurePosixPath(f).name)]
    empty = [file for file in found if not files[file]]
    problems += [Value("is empty", shown(file), 0) for file in empty]
    names = [file for file in found if files[file]]
    if len(names) > MAX_LOGS:
        problems.append(Value(f"{len(names):,} logs; the first {MAX_LOGS} are read", ".", 0))
    names.sort(key=lambda file: not file.lower().endswith(".log"))
    left, chosen, skipped = LOG_BYTES, [], 0
    for name in names[:MAX_LOGS]:
        size = min(files[name], 2 * log_text.WINDOW_BYTES)
        if size <= left:
            left -= size
            chosen.append(name)
        else:
            skipped += 1
    if skipped:
        said = f"more than {LOG_BYTES >> 20} MiB of logs; {skipped:,} of them are not read"
        problems.append(Value(said, ".", 0))
    return sorted(chosen)


def _states_anything(log: Log) -> bool:
    return bool(log.scores or log.steps or log.stop_ms.values or log.counted.values)


def _by_seed(logs: Sequence[Log]) -> dict[int, list[Log]]:
    """Return the logs of each seed; a summary of several seeds is the log of none."""
    found: dict[int, list[Log]] = {}
    for log in logs:
        if log.own_seed is not None and not log.seed.candidates:
            found.setdefault(log.own_seed, []).append(log)
    return found


def _joined(run: Run, of_seed: dict[int, list[Log]]) -> Run:
    """Return a run with what its own log lacks from the one other log of its seed that has it."""
    own = run.log
    others: list[Log] = []
    if own.own_seed is not None and not (own.counted.values and own.stop_ms.values):
        others = [
            log
            for log in of_seed.get(own.own_seed, ())
            if log.name != own.name and (not log.sha256 or log.sha256 != own.sha256)
        ]
    other = others[0] if len(others) == 1 else own
    size_log = own if own.counted.values else other
    stop_log = own if own.stop_ms.values else other
    return replace(
        run,
        joined=(other.name,) if other is not own else (),
        counted=size_log.counted,
        counted_kind=size_log.counted_kind,
        stop_ms=stop_log.stop_ms,
        stop_from=stop_log.stop_from,
        val_tokens=own.val_tokens if own.val_tokens.values else other.val_tokens,
        ranks=own.ranks if own.ranks.values else other.ranks,
    )


def _date(claims: Claims | None, name: str, problems: list[Value[str]]) -> Value[str] | None:
    """Return the later of the claimed date and that in the folder's name.

    A date decides which records came before, and an early one has the easier of them.
    """
    said = claims.date.best if claims else None
    claimed = _day(said.value) if said is not None else None
    named = _day(name)
    if named is not None and (claimed is None or named > claimed):
        found = Value(named.isoformat(), ".", 0)
    elif claimed is not None and said is not None:
        found = Value(claimed.isoformat(), said.file, said.line)
    else:
        return None
    if claimed and named and said and abs((claimed - named).days) > _DAYS_APART:
        text = f"claims {claimed}, the folder's name says {named}; the later one is used"
        problems.append(Value(text, said.file, said.line))
    return found


def _day(text: str) -> datetime.date | None:
    """Return the first date in a text that there is in a calendar."""
    for match in _DATE.finditer(text):
        try:
            return datetime.date.fromisoformat(match[1])
        except ValueError:
            continue
    return None


def _track(claims: Claims | None, path: Path) -> Value[str] | None:
    """Return "record" or "non-record" and where it is said: the folder it lies in, else the claims.

    Only whole names of the contest's own folders count, the innermost first: anybody may have a checkout, or
    a record, with "nonrecord" in its name. A blurb does not count either: what a contestant calls a
    non-record was merged as a record.
    """
    for part in reversed(path.parts):
        if part in _TRACKS:
            return Value(_TRACKS[part], ".", 0)
    said = claims.track.best if claims else None
    if said is None:
        return None
    return Value("non-record" if _NON_RECORD.search(said.value) else "record", said.file, said.line)


def _pull_request(path: str) -> int | None:
    match = _PULL.search(path)
    return int(match[1]) if match else None


def _texts(folder: Path, files: dict[str, int], claims: Claims | None) -> Iterator[Value[str]]:
    """Yield where scores are quoted in words: the README's title, the record's name and its blurb."""
    if "README.md" in files:
        data = read_start(folder / "README.md", 64 << 10) or b""
        lines = log_text.decode(data)[0].split("\n")
        for number, line in enumerate(lines, 1):
            if line.startswith("# "):
                yield Value(line[2:].strip()[:500], "README.md", number, "title")
                break
    for found in (claims.name, claims.text) if claims else ():
        if found.best is not None:
            yield found.best


def read_start(path: Path, limit: int) -> bytes | None:
    """Return the beginning of a regular file that is no link, or None."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit)
    except OSError:
        return None
