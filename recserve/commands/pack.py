"""``recserve pack``: the flags of ``models.pack``."""

from __future__ import annotations

from pathlib import Path

import click

from models.pack.command import main as pack
from shared.cli import clear_errors


@click.command(
    "pack", help="Turn a Hugging Face sequence classifier (hub id or folder) into a bundle."
)
@click.argument("source")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the bundle.")
@click.option("--version", default="1", show_default=True, help="Its version.")
@click.option(
    "--quantise/--no-quantise", default=True, show_default=True, help="int8 weights, or as trained."
)
@click.option(
    "--evaluate",
    multiple=True,
    metavar="SET=FILE[:COLUMN]",
    help="Labelled TSV file to measure accuracy on; may be repeated.",
)
@click.option("--evaluate-rows", type=click.IntRange(1), help="Rows of each set, at most.")
@click.option(
    "--samples",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TSV file whose texts the export must agree on.",
)
@click.option(
    "--typical",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="TSV file with texts as they will be asked, from which new windows start; may be "
    "repeated; none: the sets of --evaluate.",
)
@click.option("--label", "labels", multiple=True, help="Name of a label, in the model's order.")
@click.option("--max-tokens", type=click.IntRange(8), help="Tokens of a prompt that are read.")
@click.option("--licence", default="", help="Licence of the model.")
@click.option("--description", default="", help="A sentence for the model card.")
def command(
    source: str,
    out: Path,
    name: str,
    version: str,
    quantise: bool,
    evaluate: tuple[str, ...],
    evaluate_rows: int | None,
    samples: Path | None,
    typical: tuple[Path, ...],
    labels: tuple[str, ...],
    max_tokens: int | None,
    licence: str,
    description: str,
) -> None:
    """Export, quantise, compare with the original, measure, write."""
    with clear_errors():
        pack(
            source,
            out,
            name=name,
            version=version,
            quantise=quantise,
            evaluate=evaluate,
            evaluate_rows=evaluate_rows,
            samples=samples,
            typical=typical,
            labels=labels,
            max_tokens=max_tokens,
            licence=licence,
            description=description,
        )
