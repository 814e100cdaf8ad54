"""The `harness` command: a group whose commands are imported when they are asked for.

`harness --help` imports click and nothing else. Every HarnessError becomes one sentence on stderr and its
exit code, here and nowhere else; anything unexpected is exit 3, the judge's own failure, with a
traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from harness import __version__
from harness.errors import EXIT_JUDGE, HarnessError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "audit": ("harness.commands.audit", "audit", "Read published records and say what they show."),
    "run": ("harness.commands.run", "run", "Train, seal, score and judge a submission."),
    "check": ("harness.commands.check", "check", "Try a submission without training it."),
    "gate": ("harness.commands.gate", "gate", "Judge what a pull request adds."),
    "attest": ("harness.commands.attest", "attest", "Sign what a run measured, as in-toto."),
    "verify": ("harness.commands.verify", "verify", "Check a report: signature, digests, verdict."),
    "regrade": ("harness.commands.regrade", "regrade", "Work a verdict out anew, and compare."),
    "compare": ("harness.commands.compare", "compare", "Compare two runs, paired by seed."),
    "explain": ("harness.commands.explain", "explain", "Print the page of a rule."),
    "board": ("harness.commands.board", "board", "Make a leaderboard of verified runs."),
    "completion": ("harness.commands.completion", "completion", "Print a shell's completion."),
    "data": ("harness.commands.data", "data", "Build and verify data folders."),
    "baseline": ("harness.commands.baseline", "baseline", "Make a baseline of a finished run."),
    "doctor": ("harness.commands.doctor", "doctor", "Show what this machine can guarantee."),
    "report": ("harness.commands.report", "report", "Judge a run's evidence again and show it."),
    "selftest": ("harness.commands.selftest", "selftest", "Try the attack corpus on this machine."),
    "stats": (
        "harness.commands.stats",
        "stats",
        "Test scores against a baseline, from numbers alone.",
    ),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the names from the table, and options: a key press imports no command."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=COMMANDS[name][2]) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
@click.pass_context
def group(context: click.Context) -> None:
    """Judge machine-learning contest submissions: clocks, bytes, probabilities, statistics.

    Exit codes: 0 every required check passes; 1 a rule is broken; 2 usage, manifest or data; 3 the judge
    could not conclude (it failed, the machine failed, or a required check could not be judged).
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False  # what click prints; for what rich does, see harness.commands.screen


def main() -> None:
    """Run the command line; ends the process."""
    try:
        # Named here: under `python -m harness` click would make up another name.
        status = group(standalone_mode=False, complete_var="_HARNESS_COMPLETE") or 0
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(EXIT_JUDGE)
    except HarnessError as error:
        click.echo(f"harness: {_plain(str(error))}", err=True)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        click.echo("harness: this is a fault of the judge, not of the submission", err=True)
        sys.exit(EXIT_JUDGE)
    except SystemExit as ended:
        # Click ends so after completing (0), and with status 1, which here would mean a broken rule, where a
        # reader has left.
        sys.exit(EXIT_JUDGE if ended.code else 0)
    sys.exit(status)


def _plain(text: str) -> str:
    """Neutralise control characters: file names in a message may be anybody's."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
