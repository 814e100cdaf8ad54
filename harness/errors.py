"""Every error the judge raises, and the exit code each one ends with.

    HarnessError                 base; carries one sentence that names the file, the field and the remedy
    ├── UsageError               exit 2: the command line, or a path given on it
    │   ├── NewerSchema          exit 2: a file that a newer version of this project wrote
    │   ├── ManifestError        exit 2: submission.toml
    │   ├── RulesetError         exit 2: a ruleset or baseline file
    │   └── DataError            exit 2: a data folder, a shard, a tokenizer, a text
    │       └── DataElsewhere    exit 2: a run's data, which are not where they were
    └── JudgeError               exit 3: the judge or the machine failed

A submission that is bad raises nothing: it earns a finding. `ProtocolBreach` (harness.session) is caught by
the judge's own session and turned into evidence, so it is not listed here.
"""

from __future__ import annotations

EXIT_PASS = 0
EXIT_RULE_BROKEN = 1
EXIT_USAGE = 2
EXIT_JUDGE = 3


class HarnessError(Exception):
    """One sentence for the user; `exit_code` says whose fault it was."""

    exit_code = EXIT_JUDGE


class UsageError(HarnessError):
    """The caller can mend it: wrong option, missing file, unwritable folder."""

    exit_code = EXIT_USAGE


class NewerSchema(UsageError):
    """A file of a newer schema than this version reads, and so not one to be written over."""


class ManifestError(UsageError):
    """submission.toml, or what it names, is not as it should be."""


class RulesetError(UsageError):
    """A ruleset or a baseline file is not as it should be."""


class DataError(UsageError):
    """A data folder, shard, tokenizer or text is not as it should be."""


class DataElsewhere(DataError):
    """The data of a run are not where they were, and nobody said where they are."""


class JudgeError(HarnessError):
    """The judge or the machine failed; no verdict about the submission follows from it."""
