"""`harness doctor`: what this machine can guarantee, on one screen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from harness.commands.options import sandbox_option
from harness.errors import EXIT_JUDGE, EXIT_PASS

if TYPE_CHECKING:
    from rich.console import Console

    from harness.doctor import Diagnosis
    from harness.report.model import Guarantee

MARKS = {"enforced": "green", "watched": "yellow", "best effort": "yellow", "not enforced": "red"}


@click.command()
@click.option(
    "--ruleset",
    "ruleset_name",
    default="parameter-golf",
    show_default=True,
    help="Whose requirements to hold the machine to: name or file.",
)
@sandbox_option
@click.option(
    "--loopback", is_flag=True, help="For submissions of several processes, as torchrun's."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(ruleset_name: str, most: str, loopback: bool, as_json: bool) -> int:
    """Show what this machine can guarantee, what is missing, and how to get it.

    Every mechanism is tried, then a cell is started and attacked from inside, as before each run. The exit
    code is 0 where everything that the ruleset requires is enforced, 3 where something is not.
    """
    import msgspec

    from harness import ruleset
    from harness.doctor import diagnose

    rules = ruleset.load(ruleset_name).ruleset
    found = diagnose(
        rules,
        most,  # type: ignore[arg-type]
        loopback=loopback,
        libraries=os.environ.get("LD_LIBRARY_PATH", ""),
    )
    if as_json:
        plain = {**msgspec.to_builtins(found), "held": found.held}
        click.echo(msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=2))
    else:
        from harness.commands.screen import screen

        _show(screen(), found)
    return EXIT_PASS if found.held else EXIT_JUDGE


def _show(console: Console, found: Diagnosis) -> None:
    from rich.table import Table
    from rich.text import Text

    facts = found.machine
    console.print(
        f"{facts.system} · {facts.cpu or 'unknown processor'}, {found.noise.cores} cores · "
        f"{_memory(facts.memory_gb)} · {_gpus(facts.gpus)} · Python {facts.python}"
    )
    console.print(f"sandbox: {_level(found)}", style="bold")
    console.print(
        f"starting a command costs {found.start_ms:.0f} ms in a cell, {found.bare_start_ms:.0f} ms without"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in found.guarantees:
        table.add_row(
            Text(line.state, style=MARKS[line.state]), _name(line), Text(line.means, style="dim")
        )
    console.print()
    console.print(table)
    console.print()
    if found.missing:
        console.print("Missing", style="bold")
        for remedy in found.missing:
            console.print(f"  - {remedy.what}")
            console.print(f"    {remedy.how}", style="dim", soft_wrap=True)
    if found.packages_missing:
        console.print(
            "Packages that the ruleset allows and a submission will not find", style="bold"
        )
        for sentence in found.packages_missing:
            console.print(f"  - {sentence}")
    remarks = found.noise.remarks()
    console.print("Timing noise" if remarks else "Timing noise: nothing found", style="bold")
    for remark in remarks:
        console.print(f"  - {remark}")
    console.print()
    console.print(_conclusion(found), style="bold green" if found.held else "bold red")


def _name(line: Guarantee) -> str:
    return f"{line.name} (required)" if line.required else line.name


def _level(found: Diagnosis) -> str:
    how = found.mechanisms
    return {
        "namespaces": f"namespaces, by bubblewrap {how.bubblewrap_version}, and seccomp",
        "landlock": f"Landlock {how.landlock_abi} and seccomp",
        "bare": "none: a process of its own session, resource limits and a sweep",
    }[found.level]


def _memory(gigabytes: float | None) -> str:
    return "memory unknown" if gigabytes is None else f"{gigabytes:g} GB"


def _gpus(names: tuple[str, ...]) -> str:
    return "no GPU" if not names else f"{len(names)} x {names[0]}"


def _conclusion(found: Diagnosis) -> str:
    required = [line for line in found.guarantees if line.required]
    lacking = [line.name for line in required if line.state != "enforced"]
    if not required:
        return f"ruleset {found.ruleset} requires no guarantee"
    if lacking:
        return f"ruleset {found.ruleset} cannot be judged here: {', '.join(lacking)} not enforced"
    return f"everything that ruleset {found.ruleset} requires is enforced here"
