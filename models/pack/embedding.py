"""Pack an embedder: export, quantise, hold against the original, seal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Console

from models.pack.folders import beside, put_folder, refuse_other_folder
from models.pack.needs import needs
from models.pack.packing import write_tokenizer
from models.pack.samples import SAMPLES, beyond
from shared.errors import BundleError
from shared.runtimes.embedder_bundle import EmbedderBundle, EmbedderManifest, Fidelity
from shared.runtimes.onnx_embedder import OnnxEmbedder
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.pack.encoder import SentenceEncoder

_FLOAT32_LEAST: Final = 0.9999
_INT8_MEAN: Final = 0.98


def pack_embedder(
    source: str,
    out: Path,
    *,
    name: str,
    version: str = "1",
    quantise: bool = True,
    samples: Sequence[str] = SAMPLES,
    max_tokens: int | None = None,
    licence: str = "",
    description: str = "",
    console: Console | None = None,
) -> EmbedderBundle:
    """Make a bundle in the folder ``out`` from the sentence encoder ``source``.

    That is a folder, a hub id, or ``minilm`` (see ``models.pack.encoder``). The vectors of the
    exported model, and of the quantised one, must lie by the original's on ``samples``: a cosine
    of 0.9999 at least, and of 0.98 in the mean. A bundle already at ``out`` is replaced at the
    end. Raises ``BundleError``, and then leaves ``out`` as it was.
    """
    console = console or Console(quiet=True)
    refuse_other_folder(out)
    with console.status("loading") as status, beside(out) as work:
        original = _load(source, max_tokens)
        texts = [*samples, *beyond(samples, original.count_tokens, original.max_tokens)]
        manifest = msgspec.structs.replace(
            _manifest(original, _source(source), name),
            version=version,
            licence=licence,
            description=description,
        )
        status.update("exporting")
        bundle = _export(original, work / "float32", manifest)
        found = _held_float32(original, bundle, texts, console)
        if quantise:
            status.update("quantising")
            bundle = _quantise(bundle, work / "int8")
            found = _held_int8(original, bundle, texts, console)
        sealed = msgspec.structs.replace(bundle.manifest, fidelity=found)
        bundle = EmbedderBundle.write(bundle.folder, sealed)
        put_folder(bundle.folder, out, work)
        return EmbedderBundle.open(out)


def _load(source: str, max_tokens: int | None) -> SentenceEncoder:
    with needs("train"):
        from models.pack.encoder import SentenceEncoder  # noqa: PLC0415 - heavy
    return SentenceEncoder(source, max_tokens)


def _manifest(original: SentenceEncoder, source: str, name: str) -> EmbedderManifest:
    return EmbedderManifest(
        name=name,
        version="1",
        dimensions=original.dimensions,
        max_tokens=original.max_tokens,
        truncation=original.tokenizer.truncation_side,
        padding=original.tokenizer.padding_side,
        pad_token=original.pad_token,
        source=source,
    )


def _source(source: str) -> str:
    """Return what the model card names: where a folder lies is nobody else's business."""
    from models.pack.encoder import HUB_ID, MINILM  # noqa: PLC0415 - heavy

    if source == MINILM:
        return HUB_ID
    return Path(source).resolve().name if Path(source).is_dir() else source


def _export(original: SentenceEncoder, folder: Path, manifest: EmbedderManifest) -> EmbedderBundle:
    from models.pack.export import export  # noqa: PLC0415 - heavy

    folder.mkdir()
    export(original.network, folder / WEIGHTS)
    write_tokenizer(original.tokenizer, folder / TOKENIZER)
    return EmbedderBundle.write(folder, manifest)


def _quantise(bundle: EmbedderBundle, folder: Path) -> EmbedderBundle:
    from models.pack.export import quantise  # noqa: PLC0415 - heavy

    folder.mkdir()
    quantise(bundle.weights, folder / WEIGHTS)
    (folder / TOKENIZER).write_bytes(bundle.tokenizer.read_bytes())
    return EmbedderBundle.write(folder, msgspec.structs.replace(bundle.manifest, precision="int8"))


def _held_float32(
    original: SentenceEncoder, bundle: EmbedderBundle, texts: Sequence[str], console: Console
) -> Fidelity:
    """Say how near the exported model is. Raises ``BundleError`` where it is not its original."""
    found = _fidelity(original, bundle, texts)
    console.print(f"exported: {found}")
    if found.least < _FLOAT32_LEAST:
        raise BundleError(f"the exported model is not its original: {found}; nothing written")
    return found


def _held_int8(
    original: SentenceEncoder, bundle: EmbedderBundle, texts: Sequence[str], console: Console
) -> Fidelity:
    """Say how near the quantised model is. Raises ``BundleError`` where it is too far."""
    found = _fidelity(original, bundle, texts)
    console.print(f"quantised: {found}")
    if found.mean < _INT8_MEAN:
        raise BundleError(
            f"the quantised model is not its original: {found}; nothing was written; pack "
            "it with --no-quantise"
        )
    return found


def _fidelity(original: SentenceEncoder, bundle: EmbedderBundle, texts: Sequence[str]) -> Fidelity:
    packed = OnnxEmbedder(str(bundle.folder), threads=0)
    cosines = np.clip(np.sum(original.embed(texts) * packed.embed(texts), axis=1), -1.0, 1.0)
    return Fidelity(
        texts=len(texts), mean=round(float(cosines.mean()), 6), least=round(float(cosines.min()), 6)
    )
