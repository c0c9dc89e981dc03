"""``recserve pack``: the flags of ``models.pack``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.pack.adding import HeadRequest
from models.pack.command import main as pack
from models.pack.command import refit
from shared.cli import clear_errors
from shared.errors import SettingsError

if TYPE_CHECKING:
    from shared.runtimes.model import Answers


@click.command(
    "pack", help="Turn a Hugging Face sequence classifier (hub id or folder) into a bundle."
)
@click.argument("source")
@click.argument("out", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="Name of the bundle.")
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
@click.option(
    "--teacher",
    help="Bundle, folder or hub id of a larger model: the bundle gets an agreement head, which "
    "foretells where that model would answer otherwise.",
)
@click.option(
    "--texts",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="TSV file with texts from which the head learns; no labels are needed; may be repeated.",
)
@click.option(
    "--labels",
    "labelled",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="TSV file with texts and labels, which the head's expert learns besides; may be repeated.",
)
@click.option(
    "--answer",
    type=click.Choice(["model", "fused"]),
    help="With --teacher: give the model's own answers, or fused with what the head's expert says; "
    "none: as the bundle says, and that is the model's own in a new one.",
)
@click.option(
    "--refit-head", is_flag=True, help="SOURCE is a bundle: give it a head, or another one."
)
@click.option("--label", "labels", multiple=True, help="Name of a label, in the model's order.")
@click.option("--max-tokens", type=click.IntRange(8), help="Tokens of a prompt that are read.")
@click.option("--licence", default="", help="Licence of the model.")
@click.option("--description", default="", help="A sentence for the model card.")
def command(
    source: str,
    out: Path | None,
    name: str | None,
    version: str,
    quantise: bool,
    evaluate: tuple[str, ...],
    evaluate_rows: int | None,
    samples: Path | None,
    typical: tuple[Path, ...],
    teacher: str | None,
    texts: tuple[Path, ...],
    labelled: tuple[Path, ...],
    answer: Answers | None,
    refit_head: bool,
    labels: tuple[str, ...],
    max_tokens: int | None,
    licence: str,
    description: str,
) -> None:
    """Export, quantise, compare with the original, measure, write."""
    with clear_errors():
        head = _head(teacher, texts, labelled, answer)
        if refit_head:
            if head is None or out or name:
                raise SettingsError(
                    "--refit-head takes a bundle, --teacher and --texts, and neither OUT nor --name"
                )
            refit(Path(source), head)
            return
        if out is None or not name:
            raise SettingsError("give SOURCE, OUT and --name, or a bundle and --refit-head")
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
            head=head,
            labels=labels,
            max_tokens=max_tokens,
            licence=licence,
            description=description,
        )


def _head(
    teacher: str | None,
    texts: tuple[Path, ...],
    labelled: tuple[Path, ...],
    answer: Answers | None,
) -> HeadRequest | None:
    if bool(teacher) != bool(texts) or ((labelled or answer) and not texts):
        raise SettingsError(
            "--teacher and --texts go together, and --labels and --answer with them"
        )
    return HeadRequest(teacher, texts, labelled, answer) if teacher else None
