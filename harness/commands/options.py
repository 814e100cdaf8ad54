"""Options that several commands have."""

from __future__ import annotations

import click

format_option = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown", "github", "junit", "sarif"]),
    default="text",
    show_default=True,
    help="What is printed: json is report.json, github annotations of a pull request.",
)

sandbox_option = click.option(
    "--sandbox",
    "most",
    type=click.Choice(["namespaces", "landlock", "bare"]),
    default="namespaces",
    show_default=True,
    help="The strongest level of isolation to use; `harness doctor` says which work here.",
)

progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain", "json", "none"]),
    default="auto",
    show_default=True,
    help="Progress on stderr: auto is live on a terminal, and plain lines elsewhere.",
)
