"""Pack a model: every step in order, in a folder of its own until all have succeeded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from rich.console import Console

from models.pack.adding import HeadRequest, add_head, read_head_texts
from models.pack.agreement import Bounds, compare
from models.pack.expected import measure_confidences
from models.pack.facts import read_facts
from models.pack.folders import beside, put, refuse_other_folder
from models.pack.needs import needs
from models.pack.samples import SAMPLES, beyond
from shared.errors import BundleError
from shared.runtimes import Model, ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.manifest import Manifest, MeasuredEntities
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from models.pack.agreement import Agreement
    from models.pack.facts import Facts
    from models.pack.labelled import MeasuringSet
    from shared.runtimes.torch_classifier import TorchClassifier
    from shared.runtimes.torch_tagger import TorchTagger
    from shared.tasks import Task
    from shared.tasks.tag import Certainty


_TOGETHER: Final = (1, 16)
"""Prompts at a time in the first comparison, and in the second, as agents run them."""
_NAMELESS: Final = re.compile("LABEL_[0-9]+")


def pack(
    source: str,
    out: Path,
    *,
    name: str,
    version: str = "1",
    quantise: bool = True,
    sets: Sequence[MeasuringSet] = (),
    typical: Mapping[str, Sequence[str]] | None = None,
    head: HeadRequest | None = None,
    samples: Sequence[str] = SAMPLES,
    labels: tuple[str, ...] = (),
    max_tokens: int | None = None,
    certainty: Certainty = "mean",
    licence: str = "",
    description: str = "",
    bounds: Bounds | None = None,
    console: Console | None = None,
) -> Bundle:
    """Make a bundle in the folder ``out`` from the model ``source``, a folder or a hub id.

    The exported model and the quantised one must agree with the original on ``samples`` within
    ``bounds``; the one that is kept is measured once on each of ``sets``, and its confidences on
    ``typical`` texts by set (none: those of ``sets``, or else the samples). With ``head`` it gets
    an agreement head; ``certainty`` is what a tagger goes by. A bundle already at ``out`` is
    replaced at the end. Raises ``BundleError``, and then leaves ``out`` as it was.
    """
    console, bounds = console or Console(quiet=True), bounds or Bounds()
    refuse_other_folder(out)
    asked = read_head_texts(head) if head else None
    with console.status("loading") as status, beside(out) as work:
        original = _load_original(source, labels, max_tokens)
        _refuse_unfit(original, source, sets, head)
        _mention_nameless(original.names, console)
        network = original.network
        samples = [*samples, *beyond(samples, network.count_tokens, network.max_tokens)]
        manifest = _manifest(original, read_facts(source), name, description)
        manifest = replace(manifest, version=version, licence=licence)
        status.update("exporting")
        bundle = _export(original, work / "float32", manifest)
        for found, together in _agreements(original, bundle, samples):
            bounds.hold_float32(found, together)
            console.print(f"exported: {found}, {together} at a time")
        if quantise:
            status.update("quantising")
            bundle = _quantise(bundle, work / "int8")
            for found, together in _agreements(original, bundle, samples):
                bounds.hold_int8(found)
                console.print(f"quantised: {found}, {together} at a time")
        bundle = Bundle.write(bundle.folder, replace(bundle.manifest, certainty=certainty))
        for data in sets:
            status.update(f"measuring on {data.name}, {len(data.texts):,} rows")
            bundle = _with_quality(bundle, data)
        status.update("looking how sure it is")
        known = typical or {data.name: data.texts for data in sets} or {"samples": samples}
        bundle = with_confidences(bundle, known)
        if head and asked:
            bundle = add_head(bundle, head, asked, console)
            bundle = with_confidences(bundle, typical) if typical else bundle
        return put(bundle, out, work)


def task_of(source: str) -> Task:
    """Return what a model, a folder or a hub id, was trained for.

    Raises ``BundleError`` when it cannot be read, ``RuntimeUnavailable`` when a library is missing.
    """
    with needs("train"):
        from shared.runtimes.torch_models import trained_for  # noqa: PLC0415 - heavy
    return trained_for(source)


def _load_original(
    source: str, labels: tuple[str, ...], max_tokens: int | None
) -> TorchClassifier | TorchTagger:
    with needs("train"):
        from shared.runtimes.torch_models import open_torch  # noqa: PLC0415 - heavy
    settings = ModelSettings(
        source=source,
        runtime="transformers",
        device="cpu",
        precision="float32",
        threads=0,
        batch_prompts=1,
        labels=labels,
        max_tokens=max_tokens,
    )
    if task_of(source) == "generate":
        raise BundleError(f"{source}: is a model that writes; pack it with --task generate")
    return open_torch(settings)  # type: ignore[return-value] # one that writes is none of these


def _refuse_unfit(
    original: TorchClassifier | TorchTagger,
    source: str,
    sets: Sequence[MeasuringSet],
    head: HeadRequest | None,
) -> None:
    """Raise ``BundleError`` or ``DataError`` where the model cannot be measured, or take a head."""
    for data in sets:
        data.check(original.names)
    if head and "classify" not in original.tasks:
        raise BundleError(f"{source}: an agreement head is for a classifier alone; leave it out")


def _mention_nameless(labels: Sequence[str], console: Console) -> None:
    if any(_NAMELESS.fullmatch(label) for label in labels):
        console.print(f"its labels have no names ({', '.join(labels)}): --label names them")


def _manifest(
    original: TorchClassifier | TorchTagger, facts: Facts, name: str, description: str
) -> Manifest:
    network = original.network
    return Manifest(
        name=name,
        version="1",
        task=next(iter(original.tasks)),
        labels=original.names,
        max_tokens=network.max_tokens,
        truncation=network.tokenizer.truncation_side,
        padding=network.padding.side,
        pad_token=network.padding.token,
        shapes=original.shapes,
        source=facts.source,
        description=description or facts.description,
        trained_on=facts.trained_on,
    )


def _export(original: TorchClassifier | TorchTagger, folder: Path, manifest: Manifest) -> Bundle:
    from models.pack.export import export  # noqa: PLC0415 - heavy

    folder.mkdir()
    export(original.network.module, folder / WEIGHTS, shapes=original.shapes)
    write_tokenizer(original.network.tokenizer, folder / TOKENIZER)
    return Bundle.write(folder, manifest)


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write the tokenizer without indentation, padding or truncation, which serving sets."""
    if not tokenizer.is_fast:
        raise BundleError(
            f"{type(tokenizer).__name__} cannot be written as {path.name}; "
            "serve the model with the runtime transformers instead"
        )
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    path.write_text(backend.to_str(), encoding="utf-8")


def _quantise(bundle: Bundle, folder: Path) -> Bundle:
    from models.pack.export import quantise  # noqa: PLC0415 - heavy

    folder.mkdir()
    quantise(bundle.weights, folder / WEIGHTS)
    (folder / TOKENIZER).write_bytes(bundle.tokenizer.read_bytes())
    return Bundle.write(folder, replace(bundle.manifest, precision="int8"))


def _agreements(
    original: Model, bundle: Bundle, samples: Sequence[str]
) -> Iterator[tuple[Agreement, int]]:
    """Compare with the original, which answers one prompt at a time; give how many this one did."""
    for together in _TOGETHER:
        packed = _serve(bundle, together)
        try:
            found = compare(original, packed, samples)
        finally:
            packed.close()
        yield found, together


def _with_quality(bundle: Bundle, data: MeasuringSet) -> Bundle:
    manifest, model = bundle.manifest, _serve(bundle)
    try:
        measured = data.measure(model)
    finally:
        model.close()
    if isinstance(measured, MeasuredEntities):
        entities = {**manifest.entities, data.name: measured}
        manifest = replace(manifest, entities=entities)
    else:
        quality = {**manifest.quality, data.name: measured}
        manifest = replace(manifest, quality=quality)
    return Bundle.write(bundle.folder, manifest)


def with_confidences(bundle: Bundle, sets: Mapping[str, Sequence[str]]) -> Bundle:
    """Write the quantiles of the model's confidences on these texts into the bundle's manifest."""
    model = _serve(bundle)
    try:
        measured = measure_confidences(model, sets)
    finally:
        model.close()
    confidences = {**bundle.manifest.confidences, bundle.manifest.task: measured}
    changed = replace(bundle.manifest, confidences=confidences)
    return Bundle.write(bundle.folder, changed)


def _serve(bundle: Bundle, together: int = 1) -> Model:
    """Load the bundle as a device would; one prompt at a time is exactly repeatable."""
    settings = ModelSettings(source=str(bundle.folder), threads=0, batch_prompts=together)
    return load_model(settings)
