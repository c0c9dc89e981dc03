"""What ``recserve pack`` does, as a plain function; the flags themselves are the CLI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from models.conll import read_sentences
from models.pack.adding import HeadRequest, refit_head
from models.pack.agreement import Bounds
from models.pack.embedding import pack_embedder
from models.pack.generator import GeneratorRequest, pack_generator
from models.pack.labelled import read_labelled, read_texts
from models.pack.packing import pack, task_of
from models.pack.samples import SAMPLES
from models.pack.tagged import read_tagged
from models.pack.translator import encodes, pack_translator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shared.runtimes.bundle import Bundle
    from shared.runtimes.embedder_bundle import EmbedderBundle
    from shared.runtimes.manifest import MeasuredEntities
    from shared.tasks.tag import Certainty


def main(
    source: str,
    out: Path,
    *,
    name: str,
    version: str = "1",
    quantise: bool = True,
    evaluate: Sequence[str] = (),
    evaluate_rows: int | None = None,
    samples: Path | None = None,
    typical: Sequence[Path] = (),
    head: HeadRequest | None = None,
    labels: Sequence[str] = (),
    max_tokens: int | None = None,
    certainty: Certainty = "mean",
    licence: str = "",
    description: str = "",
    console: Console | None = None,
) -> Bundle:
    """Pack the model ``source`` (a folder or hub id) into the folder ``out``; say what came out.

    ``evaluate`` holds ``set=path`` or ``set=path:column`` texts, each a labelled TSV file, for a
    tagger a file as CoNLL's, packed or plain, of which the first ``evaluate_rows`` rows are
    measured (none: all). ``samples`` is
    a TSV file whose ``text`` column replaces the sentences of the agreement check, and ``typical``
    are such files with texts as they will be asked: how sure the model is of them is what a new
    window starts from; files named ``….conll`` or ``….conll.gz`` are read as CoNLL's.
    ``head`` asks for an agreement head; ``certainty`` is what a tagger goes by. Raises
    ``BundleError`` when the model does not fit or does not agree, ``SettingsError`` for a wrong
    argument or data file, ``RuntimeUnavailable`` when a library is missing.
    """
    console = console or Console(stderr=True)
    read = read_tagged if task_of(source) == "tag" else read_labelled
    bundle = pack(
        source,
        out,
        name=name,
        version=version,
        quantise=quantise,
        sets=[read(text, evaluate_rows) for text in evaluate],
        samples=_texts_of(samples) if samples else SAMPLES,
        typical={f"{path.parent.name}/{path.name}": _texts_of(path) for path in typical},
        head=head,
        labels=tuple(labels),
        max_tokens=max_tokens,
        certainty=certainty,
        licence=licence,
        description=description,
        bounds=Bounds(),
        console=console,
    )
    _show(bundle, console)
    return bundle


def _texts_of(path: Path) -> tuple[str, ...]:
    if ".conll" in path.suffixes:
        return tuple(sentence.text for sentence in read_sentences(path))
    return read_texts(path)


def refit(folder: Path, head: HeadRequest, console: Console | None = None) -> Bundle:
    """Give the bundle in a folder a head, or another one; say what came out."""
    console = console or Console(stderr=True)
    bundle = refit_head(folder, head, console)
    _show(bundle, console)
    return bundle


def writer(request: GeneratorRequest, console: Console | None = None) -> Bundle:
    """Pack a language model; say what came out. Raises what ``main`` raises."""
    console = console or Console(stderr=True)
    make = pack_translator if encodes(request.source) else pack_generator
    bundle = make(request, console)
    _show(bundle, console)
    return bundle


def embedder(
    source: str,
    out: Path,
    *,
    name: str,
    samples: Path | None = None,
    console: Console | None = None,
    **more: Any,
) -> EmbedderBundle:
    """Pack the sentence encoder ``source`` into the folder ``out``; say what came out.

    ``more`` is what ``pack_embedder`` takes besides. Raises what ``main`` raises.
    """
    console = console or Console(stderr=True)
    texts = read_texts(samples) if samples else SAMPLES
    bundle = pack_embedder(source, out, name=name, samples=texts, console=console, **more)
    manifest = bundle.manifest
    console.print(
        f"[bold]{manifest.name} {manifest.version}[/]: {bundle.folder}, "
        f"{bundle.size_bytes / 1e6:.2f} MB, {manifest.precision}, {manifest.dimensions} "
        f"dimensions, {manifest.max_tokens} tokens; {manifest.fidelity}"
    )
    return bundle


def _show(bundle: Bundle, console: Console) -> None:
    manifest = bundle.manifest
    labels = f"labels {', '.join(manifest.labels)}, " if manifest.labels else ""
    console.print(
        f"[bold]{manifest.name} {manifest.version}[/]: {bundle.folder}, "
        f"{bundle.size_bytes / 1e6:.2f} MB, {manifest.precision}, {labels}"
        f"{manifest.max_tokens} tokens"
    )
    if manifest.conversion is not None:
        made = manifest.conversion
        console.print(f"writes {made.tokens_s:g} tokens/s on {made.threads} thread here")
    for task, known in manifest.confidences.items():
        console.print(
            f"{task}: median confidence {known.quantiles[len(known.quantiles) // 2]:.3f} on "
            f"{known.prompts:,} texts of {', '.join(known.of)}"
        )
    if manifest.entities:
        _show_entities(manifest.entities, console)
    if not manifest.quality:
        return
    table = Table("set", "rows", "accuracy", "mean confidence")
    for name, quality in manifest.quality.items():
        table.add_row(
            name, f"{quality.rows:,}", f"{quality.accuracy:.4f}", f"{quality.mean_confidence:.4f}"
        )
    console.print(table)


def _show_entities(entities: Mapping[str, MeasuredEntities], console: Console) -> None:
    table = Table("set", "sentences", "F1", "precision", "recall", "mean confidence")
    for name, one in entities.items():
        shares = (one.f1, one.precision, one.recall, one.mean_confidence)
        table.add_row(name, f"{one.rows:,}", *(f"{share:.4f}" for share in shares))
    console.print(table)
