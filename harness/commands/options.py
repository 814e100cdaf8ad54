"""Options that several commands have."""

from __future__ import annotations

import click

sandbox_option = click.option(
    "--sandbox",
    "most",
    type=click.Choice(["namespaces", "landlock", "bare"]),
    default="namespaces",
    show_default=True,
    help="The strongest level of isolation to use; `harness doctor` says which work here.",
)
