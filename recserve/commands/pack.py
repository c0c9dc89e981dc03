"""``recserve pack``: the flags of ``models.pack``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from models.pack.command import embedder, refit, writer
from models.pack.command import main as pack
from models.pack.generator import GeneratorRequest
from models.pack.labelled import read_texts
from models.pack.prompts import PROMPTS
from models.pack.translator import encodes
from recserve.commands.pack_head import HeadFlags
from shared.cli import clear_errors
from shared.errors import SettingsError

if TYPE_CHECKING:
    from models.pack.adding import HeadRequest
    from models.pack.generator import Precision
    from shared.tasks.generate import Certainty as TextCertainty
    from shared.tasks.tag import Certainty


@dataclass(frozen=True, kw_only=True)
class PackFlags:
    """What is asked for, flag by flag, but for those of a head."""

    source: str
    out: Path | None
    task: Literal["classify", "embed", "generate"]
    precision: Precision | None
    confidence: TextCertainty | None
    name: str | None
    version: str
    quantise: bool
    evaluate: tuple[str, ...]
    evaluate_rows: int | None
    samples: Path | None
    typical: tuple[Path, ...]
    refit_head: bool
    labels: tuple[str, ...]
    max_tokens: int | None
    certainty: Certainty
    licence: str
    description: str

    def needs_labels(self, head: HeadRequest | None) -> bool:
        """Say whether any flag is given that only a model with labels can follow."""
        return bool(head or self.evaluate or self.typical or self.labels)


@click.command(
    "pack",
    help="Turn a Hugging Face classifier or tagger (hub id or folder), or with --task embed a "
    "sentence encoder, into a bundle. The encoder `minilm` is all-MiniLM-L6-v2. With --task "
    "generate it is a language model, and SOURCE may also be a GGUF file.",
)
@click.argument("source")
@click.argument("out", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--task",
    type=click.Choice(["classify", "embed", "generate"]),
    default="classify",
    show_default=True,
    help="What the model does: tells one of a few labels, turns a text into a vector, or writes.",
)
@click.option(
    "--precision",
    type=click.Choice(["int4", "int8", "float32"]),
    help="--task generate: of the weights; none: int4, with an encoder int8.",
)
@click.option(
    "--confidence",
    type=click.Choice(["perplexity", "mean", "least"]),
    help="--task generate: what routing goes by; none: perplexity, as 1 / (1 + PPL).",
)
@click.option("--name", help="Name of the bundle.")
@click.option("--version", default="1", show_default=True, help="Its version.")
@click.option(
    "--quantise/--no-quantise", default=True, show_default=True, help="int8 weights, or as trained."
)
@click.option(
    "--evaluate",
    multiple=True,
    metavar="SET=FILE[:COLUMN]",
    help="Labelled TSV file to measure accuracy on, or for a tagger a file in the form of CoNLL to "
    "measure F1 on; may be repeated.",
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
    help="Bundle, folder or hub id of a larger model, or the URL of a server that speaks OpenAI's "
    "API (http://HOST:PORT/v1): the bundle gets an agreement head, which foretells where that "
    "model would answer otherwise.",
)
@click.option("--teacher-model", help="Server: name of its model. Every text is sent to it.")
@click.option(
    "--teacher-key-env",
    metavar="VARIABLE",
    help="Server: environment variable that holds its key, such as OPENAI_API_KEY; none: no key "
    "is sent.",
)
@click.option(
    "--teacher-answers",
    type=click.Path(file_okay=False, path_type=Path),
    help="Server: folder in which its answers are kept, so that an interrupted run goes on; none: "
    "runs/teacher.",
)
@click.option(
    "--teacher-in-flight", type=click.IntRange(1, 256), help="Server: requests at a time; none: 8."
)
@click.option(
    "--teacher-timeout-s",
    type=click.FloatRange(0, min_open=True),
    help="Server: time for each answer; none: 60.",
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
@click.option(
    "--certainty",
    type=click.Choice(["mean", "least"]),
    default="mean",
    show_default=True,
    help="Tagger: confidence of an answer, of how sure the model is of each word.",
)
@click.option("--licence", default="", help="Licence of the model.")
@click.option("--description", default="", help="A sentence for the model card.")
def command(**given: Any) -> None:
    """Export, quantise, compare with the original, measure, write."""
    of_head = {field.name: given.pop(field.name) for field in fields(HeadFlags)}
    flags = PackFlags(**given)
    with clear_errors():
        head = HeadFlags(**of_head).request()
        if flags.refit_head:
            _refit(flags, head)
            return
        if flags.out is None or not flags.name:
            raise SettingsError("give SOURCE, OUT and --name, or a bundle and --refit-head")
        if flags.task != "generate" and (flags.precision or flags.confidence):
            raise SettingsError("--precision and --confidence are for --task generate")
        if flags.task == "generate":
            _pack_writer(flags, flags.out, flags.name, head)
        elif flags.task == "embed":
            _pack_embedder(flags, flags.out, flags.name, head)
        else:
            _pack_labeller(flags, flags.out, flags.name, head)


def _refit(flags: PackFlags, head: HeadRequest | None) -> None:
    if head is None or flags.out or flags.name:
        raise SettingsError(
            "--refit-head takes a bundle, --teacher and --texts, and neither OUT nor --name"
        )
    refit(Path(flags.source), head)


def _pack_writer(flags: PackFlags, out: Path, name: str, head: HeadRequest | None) -> None:
    if flags.needs_labels(head) or not flags.quantise:
        raise SettingsError(
            "a language model has no labels: --task generate takes none of --evaluate, "
            "--typical, --teacher and --label, and --precision in place of --no-quantise"
        )
    writer(
        GeneratorRequest(
            source=flags.source,
            out=out,
            name=name,
            version=flags.version,
            precision=flags.precision or ("int8" if encodes(flags.source) else "int4"),
            confidence=flags.confidence or "perplexity",
            max_tokens=flags.max_tokens,
            licence=flags.licence,
            description=flags.description,
            prompts=read_texts(flags.samples) if flags.samples else PROMPTS,
        )
    )


def _pack_embedder(flags: PackFlags, out: Path, name: str, head: HeadRequest | None) -> None:
    if flags.needs_labels(head):
        raise SettingsError(
            "an embedder has no labels: --task embed takes none of --evaluate, --typical, "
            "--teacher and --label"
        )
    embedder(
        flags.source,
        out,
        name=name,
        version=flags.version,
        quantise=flags.quantise,
        samples=flags.samples,
        max_tokens=flags.max_tokens,
        licence=flags.licence,
        description=flags.description,
    )


def _pack_labeller(flags: PackFlags, out: Path, name: str, head: HeadRequest | None) -> None:
    """Pack a classifier or a tagger."""
    pack(
        flags.source,
        out,
        name=name,
        version=flags.version,
        quantise=flags.quantise,
        evaluate=flags.evaluate,
        evaluate_rows=flags.evaluate_rows,
        samples=flags.samples,
        typical=flags.typical,
        head=head,
        labels=flags.labels,
        max_tokens=flags.max_tokens,
        certainty=flags.certainty,
        licence=flags.licence,
        description=flags.description,
    )
