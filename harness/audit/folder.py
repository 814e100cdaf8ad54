"""Record folders among the paths given, and each of them read: submission.json, logs, scripts, sizes.

A record is a folder with a `submission.json`, or one with logs that lies in none. Everything beneath belongs
to it. Links are not followed, nothing is executed, and what is too much (files, logs, depth) is left out and
said.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from checks.published import Claims, Log, Published, Run, Value
from harness.audit import text as log_text
from harness.audit.claimed import read_claims
from harness.audit.headline import find_headline
from harness.audit.json_lines import MAX_BYTES, read_json
from harness.audit.log import read_log

MAX_FILES = 5_000
MAX_LOGS = 200
MAX_DEPTH = 12
MAX_PROBLEMS = 100
TRAINER = "train_gpt.py"
CLAIMS = "submission.json"

_LOG = re.compile(r"\.(?:log|txt|out)$", re.I)
_NO_LOG = re.compile(r"^(?:requirements|license|notice|readme|copying|authors)\b", re.I)
_SCRIPT = re.compile(r"\.(?:py|sh|c|cc|cpp|cu|h|pyx)$", re.I)
_ARTIFACT = re.compile(r"\.(?:ptz|pt|pth|bin|npz|safetensors|br|zst|xz|lzma|ptz\.\w+)$", re.I)
_DATE = re.compile(r"(20\d\d-[01]\d-[0-3]\d)")
_PULL = re.compile(r"(?:^|/)(?:pr|pull|pull_)#?(\d{1,6})(?:/|$)", re.I)
_NON_RECORD = re.compile(r"non[-_ ]?record", re.I)


def find_folders(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the record folders at or under each path, sorted within it; a folder given twice is one."""
    seen: set[str] = set()
    for path in paths:
        for folder, _ in _records(path, 0):
            key = os.path.realpath(folder)
            if key not in seen:
                seen.add(key)
                yield folder


def _records(folder: Path, depth: int) -> list[tuple[Path, bool]]:
    """Return the records of a tree, each with whether it has a submission.json.

    A folder that only looks like a record, with logs or a trainer, is one unless records lie below it: the
    root of a repository has a trainer too.
    """
    entries = _entries(folder)
    if entries is None:
        return []
    files = [entry.name for entry in entries if _is_file(entry)]
    if CLAIMS in files:
        return [(folder, True)]
    below = [
        found
        for entry in entries
        if depth < MAX_DEPTH and not entry.name.startswith(".") and _is_folder(entry)
        for found in _records(folder / entry.name, depth + 1)
    ]
    if any(claimed for _, claimed in below):
        return [found for found in below if found[1] or _has_logs(found[0])]
    if any(name.endswith(".log") or name == TRAINER for name in files):
        return [(folder, False)]
    return below


def _has_logs(folder: Path) -> bool:
    return any(entry.name.endswith(".log") for entry in _entries(folder) or ())


def _entries(folder: Path) -> list[os.DirEntry[str]] | None:
    """Return what lies in a folder, sorted, or None where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError):
        return None


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def read_folder(folder: Path, name: str) -> Published:
    """Return everything that a record folder states; what cannot be read becomes one of its `problems`."""
    problems: list[Value[str]] = []
    files = _files(folder, problems)
    claims = _claims(folder, files, problems)
    logs = _logs(folder, files, problems)
    headline = find_headline(claims, logs)
    runs = tuple(_joined(run, logs) for run in headline.runs)
    return Published(
        id=name,
        date=_date(claims, name),
        track=_track(claims, str(folder.absolute())),
        pull_request=_pull_request(str(folder.absolute())),
        claims=claims,
        headline=type(headline)(
            rule=headline.rule, name=headline.name, runs=runs, reproduces=headline.reproduces
        ),
        logs=tuple(logs),
        scripts=tuple(
            Value(size, shown(file), 0) for file, size in files.items() if _SCRIPT.search(file)
        ),
        artifacts=tuple(
            Value(size, shown(file), 0) for file, size in files.items() if _ARTIFACT.search(file)
        ),
        texts=tuple(_texts(folder, files, claims)),
        problems=_few(problems),
    )


def _few(problems: list[Value[str]]) -> tuple[Value[str], ...]:
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    more = len(problems) - MAX_PROBLEMS
    return (*problems[:MAX_PROBLEMS], Value(f"{more:,} more of such files", ".", 0))


def _files(folder: Path, problems: list[Value[str]]) -> dict[str, int]:
    """Return the sizes of the regular files of a folder, by their names within it, sorted."""
    found: dict[str, int] = {}
    stack = [("", 0)]
    more, folders = False, 0
    while stack and not more:
        prefix, depth = stack.pop()
        entries = _entries(folder / prefix)
        if entries is None:
            problems.append(Value("cannot be listed", shown(prefix) or ".", 0))
            continue
        below = []
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                problems.append(Value("is a link; not followed", shown(name), 0))
            elif _is_folder(entry):
                below.append((name + "/", depth + 1))
            elif _is_file(entry):
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
    names = [f for f in files if _LOG.search(f) and not _NO_LOG.match(PurePosixPath(f).name)]
    if len(names) > MAX_LOGS:
        problems.append(Value(f"{len(names):,} logs; the first {MAX_LOGS} are read", ".", 0))
    logs: list[Log] = []
    for name in names[:MAX_LOGS]:
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
    return logs


def _states_anything(log: Log) -> bool:
    return bool(log.scores or log.steps or log.stop_ms.values or log.counted.values)


def _joined(run: Run, logs: Sequence[Log]) -> Run:
    """Return a run with what its own log lacks from the one other log of its seed that has it."""
    own = run.log
    lacking = not own.counted.values or not own.stop_ms.values
    others = [
        log
        for log in logs
        if log.name != own.name
        and log.own_seed == own.own_seed
        and own.own_seed is not None
        and not log.seed.candidates  # a summary of several seeds is the log of none
        and (not log.sha256 or log.sha256 != own.sha256)
    ]
    other = others[0] if lacking and len(others) == 1 else None
    stop_log = own if own.stop_ms.values or other is None else other
    size_log = own if own.counted.values or other is None else other
    return Run(
        log=own,
        score=run.score,
        others=run.others,
        joined=(other.name,) if other else (),
        counted=size_log.counted,
        counted_kind=size_log.counted_kind,
        stop_ms=stop_log.stop_ms,
        stop_from=stop_log.stop_from,
        val_tokens=own.val_tokens if own.val_tokens.values or other is None else other.val_tokens,
        ranks=own.ranks if own.ranks.values or other is None else other.ranks,
    )


def _date(claims: Claims | None, name: str) -> Value[str] | None:
    said = claims.date.best if claims else None
    if said is not None and (match := _DATE.search(said.value)):
        return Value(match[1], said.file, said.line)
    match = _DATE.search(PurePosixPath(name).name)
    return Value(match[1], ".", 0) if match else None


def _track(claims: Claims | None, path: str) -> Value[str] | None:
    """Return "record" or "non-record" and where it is said: the folder's path, else the claims.

    A name or a blurb does not count: what a contestant calls a non-record was merged as a record.
    """
    if _NON_RECORD.search(path):
        return Value("non-record", ".", 0)
    if "track_10min_16mb" in path:
        return Value("record", ".", 0)
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
