"""Pack a model: every step in order, in a folder of its own until all have succeeded."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from rich.console import Console

from models.pack.adding import HeadRequest, add_head, read_head_texts
from models.pack.agreement import Agreement, compare
from models.pack.expected import measure_confidences
from models.pack.facts import read_facts
from models.pack.samples import SAMPLES, beyond
from shared.errors import BundleError, RuntimeUnavailable
from shared.runtimes import Model, ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.manifest import Manifest, MeasuredEntities
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from models.pack.labelled import MeasuringSet
    from shared.runtimes.torch_classifier import TorchClassifier
    from shared.runtimes.torch_tagger import TorchTagger
    from shared.tasks import Task
    from shared.tasks.tag import Certainty


_TOGETHER: Final = 16
"""Prompts at a time in the second comparison, as agents run them."""
_NAMELESS: Final = re.compile("LABEL_[0-9]+")


@dataclass(frozen=True)
class Bounds:
    """How far a packed model may be from its original.

    ``float32_difference`` bounds the largest difference of any probability after export;
    ``int8_same_answer`` the share of texts with the same answer, from below, and
    ``int8_mean_difference`` the mean difference of probabilities, after quantising.
    """

    float32_difference: float = 1e-3
    int8_same_answer: float = 0.95
    int8_mean_difference: float = 0.05

    def hold_float32(self, found: Agreement, together: int) -> None:
        """Raise ``BundleError`` when an exported model is too far from its original."""
        if found.max_difference > self.float32_difference:
            how = (
                "with prompts one by one" if together == 1 else f"with {together} prompts at a time"
            )
            raise BundleError(
                f"the exported model does not agree with its original {how}: {found}, where "
                f"{self.float32_difference} at most is allowed; nothing was written; serve the "
                "model with the runtime transformers instead (model.runtime: transformers)"
            )

    def hold_int8(self, found: Agreement) -> None:
        """Raise ``BundleError`` when a quantised model is too far from its original."""
        if (
            found.same_answer < self.int8_same_answer
            or found.mean_difference > self.int8_mean_difference
        ):
            raise BundleError(
                f"the quantised model does not agree with its original: {found}, where "
                f"{self.int8_same_answer:.0%} at least and {self.int8_mean_difference} in the mean "
                "at most are allowed; nothing was written; pack it with --no-quantise"
            )


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
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        console.status("loading") as status,
        tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work,
    ):
        original = _load_original(source, labels, max_tokens)
        for data in sets:
            data.check(original.names)
        facts = read_facts(source)
        manifest = Manifest(
            name=name,
            version=version,
            task=next(iter(original.tasks)),
            labels=original.names,
            max_tokens=original.network.max_tokens,
            truncation=original.network.tokenizer.truncation_side,
            padding=original.network.padding.side,
            pad_token=original.network.padding.token,
            shapes=original.shapes,
            source=facts.source,
            licence=licence,
            description=description or facts.description,
            trained_on=facts.trained_on,
        )
        if head and manifest.task != "classify":
            raise BundleError(
                f"{source}: an agreement head is for a classifier alone; leave it out"
            )
        if any(_NAMELESS.fullmatch(label) for label in original.names):
            console.print(
                f"its labels have no names ({', '.join(original.names)}): --label names them"
            )
        samples = [
            *samples,
            *beyond(samples, original.network.count_tokens, original.network.max_tokens),
        ]
        status.update("exporting")
        bundle = _export(original, Path(work) / "float32", manifest)
        for together in (1, _TOGETHER):
            found = _agreement(original, bundle, samples, together)
            bounds.hold_float32(found, together)
            console.print(f"exported: {found}, {together} at a time")
        if quantise:
            status.update("quantising")
            bundle = _quantise(bundle, Path(work) / "int8")
            for together in (1, _TOGETHER):
                found = _agreement(original, bundle, samples, together)
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
        return put(bundle, out, Path(work) / "replaced")


def task_of(source: str) -> Task:
    """Return what a model, a folder or a hub id, was trained for.

    Raises ``BundleError`` when it cannot be read, ``RuntimeUnavailable`` when a library is missing.
    """
    with _needing_torch():
        from shared.runtimes.torch_models import trained_for  # noqa: PLC0415 - heavy
    return trained_for(source)


def refuse_other_folder(out: Path) -> None:
    """Refuse to write over what is not a bundle."""
    if out.exists() and not (out / MANIFEST).is_file():
        raise BundleError(f"{out}: is there already and is no bundle; choose another folder")


def _load_original(
    source: str, labels: tuple[str, ...], max_tokens: int | None
) -> TorchClassifier | TorchTagger:
    with _needing_torch():
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


@contextmanager
def _needing_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"packing needs {error.name}, which is not here; in the folder of this project: "
            'pip install -e ".[train]"'
        ) from error


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


def _agreement(original: Model, bundle: Bundle, samples: Sequence[str], together: int) -> Agreement:
    """Compare with the original, which answers one prompt at a time."""
    packed = _serve(bundle, together)
    try:
        return compare(original, packed, samples)
    finally:
        packed.close()


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


def put(bundle: Bundle, out: Path, aside: Path) -> Bundle:
    """Move the finished bundle to ``out``."""
    put_aside_and_move(bundle.folder, out, aside)
    return Bundle.open(out)


def put_aside_and_move(folder: Path, out: Path, aside: Path) -> None:
    """Move a finished folder to ``out``; one that was there goes ``aside``."""
    if out.exists():
        out.rename(aside)
    folder.rename(out)
