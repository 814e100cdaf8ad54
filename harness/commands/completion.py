"""`harness completion`: what a shell needs to complete commands, options and ids."""

from __future__ import annotations

import click

VARIABLE = "_HARNESS_COMPLETE"
"""Through it a shell asks the program for completions; `harness.cli.main` answers to the same name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that makes SHELL complete `harness`: commands, options, files, ids of checks.

    For bash, put `eval "$(harness completion bash)"` into ~/.bashrc; for zsh, the same with zsh into
    ~/.zshrc; for fish, `harness completion fish > ~/.config/fish/completions/harness.fish`.
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    program = click.get_current_context().find_root().command
    click.echo(script(program, {}, "harness", VARIABLE).source())
    return 0
