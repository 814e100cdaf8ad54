"""`harness data`: build a data folder from text, count one again, show what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

PathArgument = click.Path(path_type=Path)


@click.group()
def data() -> None:
    """Build, verify and show data folders."""


@data.command()
@click.option(
    "--text", required=True, type=PathArgument, help="Text: a folder, a file, or xz of either."
)
@click.option("--out", required=True, type=PathArgument, help="Data folder to make.")
@click.option("--vocab", "vocab_size", type=int, help="Train a SentencePiece BPE of this size.")
@click.option("--tokenizer", type=PathArgument, help="Use this SentencePiece model instead.")
@click.option(
    "--documents",
    type=click.Choice(["line", "file", "blank"]),
    default="line",
    show_default=True,
    help="What a document is: a line, a whole file, or what stands between blank lines.",
)
@click.option("--val-text", type=PathArgument, help="Validation text, read like --text.")
@click.option(
    "--val-fraction",
    type=float,
    default=0.02,
    show_default=True,
    help="Without --val-text: share of the text held out, in documents chosen by their digests.",
)
@click.option(
    "--val-bytes",
    type=int,
    default=500_000,
    show_default=True,
    help="Without --val-text: hold out no more than about this many bytes.",
)
@click.option(
    "--shard-tokens", type=int, default=100_000_000, show_default=True, help="Tokens a shard."
)
@click.option("--name", default="", help="Name of the data set.  [default: from the text's]")
@click.option("--force", is_flag=True, help="Replace the data folder that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def build(text: Path, out: Path, force: bool, as_json: bool, **options: Any) -> None:
    """Turn text into shards, a tokenizer and exact byte counts.

    Prints what was counted and what was assumed.
    """
    from harness.data.build import Recipe, build_dataset

    _print(build_dataset(Recipe(text=text, **options), out, force=force), as_json)


@data.command()
@click.argument("folder", type=PathArgument)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def verify(folder: Path, as_json: bool) -> None:
    """Check every digest and count the validation text again."""
    from harness.data.dataset import open_dataset
    from harness.data.recount import count_text

    dataset = open_dataset(folder)
    count_text(dataset)
    _print(dataset, as_json)
    if not as_json:
        click.echo("every digest agrees, and so do the bytes counted again")


@data.command()
@click.argument("folder", type=PathArgument)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def show(folder: Path, as_json: bool) -> None:
    """Show what a data folder holds, after checking every digest."""
    from harness.data.dataset import open_dataset

    _print(open_dataset(folder), as_json)


def _print(dataset: Dataset, as_json: bool = False) -> None:
    if as_json:
        import json

        click.echo(json.dumps(_facts(dataset), indent=1))
        return
    from rich.table import Table

    from harness.commands.screen import screen

    table = Table(title=f"{dataset.name}: {dataset.folder}")
    table.add_column("split")
    for heading in ("documents", "text bytes", "tokens", "bytes/token", "shards"):
        table.add_column(heading, justify="right")
    for name, split in (("train", dataset.train), ("val", dataset.val)):
        known = split.text_bytes is not None
        table.add_row(
            name,
            f"{split.documents:,}",
            f"{split.text_bytes:,}" if known else "not counted",
            f"{split.tokens:,}",
            f"{(split.text_bytes or 0) / split.tokens:.4f}" if known else "-",
            str(len(split.shards)),
        )
    console = screen()
    console.print(table)
    for line in [*_counts(dataset), *dataset.notes]:
        console.print(line, soft_wrap=True, markup=False)


def _counts(dataset: Dataset) -> list[str]:
    """Return the tokenizer and the three counts of the validation text as sentences."""
    text = dataset.text
    size = f", {dataset.tokenizer.size_bytes:,} bytes" if dataset.tokenizer else ""
    lines = [f"vocabulary {dataset.vocab_size}{size or ', no tokenizer'}"]
    if text.decoded_bytes is not None:
        lines.append(f"validation tokens decode to {text.decoded_bytes:,} bytes")
    if text.normalised_bytes is not None:
        lines.append(
            f"the tokenizer's normaliser makes {text.normalised_bytes:,} bytes of the validation text; "
            f"{text.differing_documents} of {text.documents} documents decode to something else"
        )
    return lines


def _facts(dataset: Dataset) -> dict[str, Any]:
    """Return what `--json` prints."""
    import dataclasses

    splits = {
        name: {
            "documents": split.documents,
            "text_bytes": split.text_bytes,
            "tokens": split.tokens,
            "shards": len(split.shards),
        }
        for name, split in (("train", dataset.train), ("val", dataset.val))
    }
    return {
        "name": dataset.name,
        "vocab_size": dataset.vocab_size,
        "tokenizer_bytes": dataset.tokenizer.size_bytes if dataset.tokenizer else None,
        **splits,
        "text": dataclasses.asdict(dataset.text),
        "digests": dict(dataset.digests),
        "notes": list(dataset.notes),
    }
