"""``recserve pack``: the flags of ``models.pack``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from models.pack.adding import HeadRequest
from models.pack.command import embedder, refit, writer
from models.pack.command import main as pack
from models.pack.generator import GeneratorRequest
from models.pack.labelled import read_texts
from models.pack.prompts import PROMPTS
from models.pack.teacher import TeacherServer
from models.pack.translator import encodes
from shared.cli import clear_errors
from shared.errors import SettingsError

if TYPE_CHECKING:
    from models.pack.generator import Precision
    from shared.runtimes.model import Answers
    from shared.tasks.generate import Certainty as TextCertainty
    from shared.tasks.tag import Certainty


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
def command(
    source: str,
    out: Path | None,
    task: str,
    precision: Precision | None,
    confidence: TextCertainty | None,
    name: str | None,
    version: str,
    quantise: bool,
    evaluate: tuple[str, ...],
    evaluate_rows: int | None,
    samples: Path | None,
    typical: tuple[Path, ...],
    teacher: str | None,
    teacher_model: str | None,
    teacher_key_env: str | None,
    teacher_answers: Path | None,
    teacher_in_flight: int | None,
    teacher_timeout_s: float | None,
    texts: tuple[Path, ...],
    labelled: tuple[Path, ...],
    answer: Answers | None,
    refit_head: bool,
    labels: tuple[str, ...],
    max_tokens: int | None,
    certainty: Certainty,
    licence: str,
    description: str,
) -> None:
    """Export, quantise, compare with the original, measure, write."""
    with clear_errors():
        asked = _teacher(
            teacher,
            teacher_key_env,
            model=teacher_model,
            kept=teacher_answers,
            in_flight=teacher_in_flight,
            timeout_s=teacher_timeout_s,
        )
        head = _head(asked, texts, labelled, answer)
        if refit_head:
            if head is None or out or name:
                raise SettingsError(
                    "--refit-head takes a bundle, --teacher and --texts, and neither OUT nor --name"
                )
            refit(Path(source), head)
            return
        if out is None or not name:
            raise SettingsError("give SOURCE, OUT and --name, or a bundle and --refit-head")
        if task != "generate" and (precision or confidence):
            raise SettingsError("--precision and --confidence are for --task generate")
        if task == "generate":
            if head or evaluate or typical or labels or not quantise:
                raise SettingsError(
                    "a language model has no labels: --task generate takes none of --evaluate, "
                    "--typical, --teacher and --label, and --precision in place of --no-quantise"
                )
            writer(
                GeneratorRequest(
                    source=source,
                    out=out,
                    name=name,
                    version=version,
                    precision=precision or ("int8" if encodes(source) else "int4"),
                    confidence=confidence or "perplexity",
                    max_tokens=max_tokens,
                    licence=licence,
                    description=description,
                    prompts=read_texts(samples) if samples else PROMPTS,
                )
            )
            return
        if task == "embed":
            if head or evaluate or typical or labels:
                raise SettingsError(
                    "an embedder has no labels: --task embed takes none of --evaluate, --typical, "
                    "--teacher and --label"
                )
            embedder(
                source,
                out,
                name=name,
                version=version,
                quantise=quantise,
                samples=samples,
                max_tokens=max_tokens,
                licence=licence,
                description=description,
            )
            return
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
            certainty=certainty,
            licence=licence,
            description=description,
        )


def _teacher(teacher: str | None, key_env: str | None, **flags: Any) -> str | TeacherServer | None:
    """Return the teacher that the flags name; ``flags`` are the fields of a server that are set."""
    given = {name: value for name, value in flags.items() if value is not None}
    if not teacher or not teacher.startswith(("http://", "https://")):
        if given or key_env:
            raise SettingsError(
                "--teacher-model, --teacher-key-env, --teacher-answers, --teacher-in-flight and "
                "--teacher-timeout-s are for a server: give its URL as --teacher"
            )
        return teacher
    if not given.get("model"):
        raise SettingsError(f"--teacher {teacher} is a server: name its model as --teacher-model")
    return TeacherServer(_url(teacher), key=_key(key_env), **given)


def _url(url: str) -> str:
    """Return the URL of an API, or raise ``SettingsError``."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise SettingsError(f"--teacher {url}: is no URL ({error})") from error
    if "@" in parts.netloc:
        raise SettingsError("--teacher: a key has no place in a URL; see --teacher-key-env")
    if not named or parts.query or parts.fragment:
        raise SettingsError(f"--teacher {url}: is not the URL of an API, as http://HOST:PORT/v1")
    return url.rstrip("/")


def _key(variable: str | None) -> str:
    """Return the key in an environment variable, or raise ``SettingsError`` without showing it."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise SettingsError(
            f"--teacher-key-env: the environment has no {variable}, or an empty one"
        )
    if not (key.isascii() and (not key or key.isprintable())):
        raise SettingsError(f"--teacher-key-env: {variable} holds what cannot be a key")
    return key


def _head(
    teacher: str | TeacherServer | None,
    texts: tuple[Path, ...],
    labelled: tuple[Path, ...],
    answer: Answers | None,
) -> HeadRequest | None:
    if bool(teacher) != bool(texts) or ((labelled or answer) and not texts):
        raise SettingsError(
            "--teacher and --texts go together, and --labels and --answer with them"
        )
    return HeadRequest(teacher, texts, labelled, answer) if teacher else None
