"""Pack a language model that writes: for ``onnxruntime-genai``, by its own builder.

The model comes from the hub, a folder, or a GGUF file, whose weights are unpacked first whatever
they were quantised to. What comes out is held against the original on sample prompts: the original
writes, and the packed model says of each token whether it would have chosen it, too, and how
likely it calls it. Then it writes by itself, for its speed and for how sure it is as a rule.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from models.pack.expected import quantiles
from models.pack.fidelity import TokenFidelity, compare_tokens
from models.pack.folders import beside, put, refuse_other_folder
from models.pack.original import load_original
from models.pack.prompts import PROMPTS
from shared.errors import BundleError, RuntimeUnavailable
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.manifest import Confidences, Manifest
from shared.runtimes.text_manifest import CHAT_TEMPLATE, GENAI_CONFIG, TOKENIZER, Conversion
from shared.tasks import Request
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from models.pack.original import Original
    from shared.messages import Scored
    from shared.tasks.generate import Certainty

Precision = Literal["int4", "int8", "float32"]
_BUILDERS: Final[dict[Precision, tuple[str, ...]]] = {
    # The layers that suffer most from four bits, and the last one, have eight.
    "int4": (
        "int4",
        "algo_config=k_quant",
        "matmul_mixed_precision=last_matmul:int8,mixed_layers:int8",
    ),
    "int8": ("int8",),
    "float32": ("fp32",),
}
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_KEPT: Final = (TOKENIZER, TOKENIZER_CONFIG, "special_tokens_map.json", CHAT_TEMPLATE)
WRITTEN_TOKENS: Final = 48
_SHOWN: Final = 2_000


@dataclass(frozen=True)
class Tolerance:
    """How far a packed model may be from its original: at least, and at most."""

    token_agreement: float
    log_probability_distance: float


ALLOWED: Final[dict[Precision, Tolerance]] = {
    "float32": Tolerance(0.99, 0.01),
    "int8": Tolerance(0.95, 0.1),
    "int4": Tolerance(0.7, 0.5),
}


@dataclass(frozen=True, kw_only=True)
class GeneratorRequest:
    """What is to be packed, as what."""

    source: str
    out: Path
    name: str
    version: str = "1"
    precision: Precision = "int4"
    confidence: Certainty = "perplexity"
    max_tokens: int | None = None
    licence: str = ""
    description: str = ""
    prompts: Sequence[str] = PROMPTS
    allowed: Tolerance | None = None

    def manifest(self, runtime: Literal["genai", "ctranslate2"], context: int) -> Manifest:
        """Return the manifest of a model that holds ``context`` tokens.

        Raises ``BundleError`` when more are asked for.
        """
        if self.max_tokens is not None and self.max_tokens > context:
            raise BundleError(f"--max-tokens {self.max_tokens}: the model holds {context} at most")
        return Manifest(
            name=self.name,
            version=self.version,
            task="generate",
            runtime=runtime,
            precision=self.precision,
            confidence=self.confidence,
            max_tokens=self.max_tokens or context,
            licence=self.licence,
            description=self.description,
        )


def pack_generator(request: GeneratorRequest, console: Console) -> Bundle:
    """Build, compare with the original, measure, write. Raises ``BundleError`` and others."""
    refuse_other_folder(request.out)
    with (
        console.status("loading") as status,
        beside(request.out) as work,
    ):
        original = load_original(request.source, work / "original")
        status.update(f"building, {request.precision}")
        folder = work / "bundle"
        _build(original, folder, request.precision)
        bundle = Bundle.write(folder, _manifest(request, original, folder))
        status.update("comparing with the original")
        found = compare_tokens(original, folder, request.prompts, WRITTEN_TOKENS)
        console.print(f"packed: {found}")
        hold(found, request.allowed or ALLOWED[request.precision], request.precision)
        status.update("looking how fast and how sure it is")
        return put(measured(bundle, request, found), request.out, work)


def _manifest(request: GeneratorRequest, original: Original, folder: Path) -> Manifest:
    config = msgspec.json.decode((folder / GENAI_CONFIG).read_bytes())
    manifest = request.manifest("genai", int(config["model"]["context_length"]))
    licence = request.licence or original.licence
    return msgspec.structs.replace(manifest, source=original.source, licence=licence)


def _build(original: Original, folder: Path, precision: Precision) -> None:
    """Have the builder of ``onnxruntime-genai`` write the model, and keep what serving needs."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as cache:
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        command += ["-i", str(original.folder), "-o", str(folder), "-c", cache]
        name, *options = _BUILDERS[precision]
        command += ["-p", name, "-e", "cpu", "--extra_options", "hf_token=false", *options]
        built = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own
    if "No module named" in (said := built.stderr.decode(errors="replace")):
        raise RuntimeUnavailable(
            f"packing a language model needs {said.rsplit('No module named', 1)[-1].strip()}, "
            "which is not here; in the folder of this project: "
            'pip install -e ".[train,generate]"'
        )
    if built.returncode or not (folder / GENAI_CONFIG).is_file():
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        raise BundleError(
            f"{original.source}: the builder of onnxruntime-genai does not take this model: "
            f"{last[0][:_SHOWN]}"
        )
    for name in _KEPT:  # its own copies come and go with versions of transformers
        if (original.folder / name).is_file():
            shutil.copyfile(original.folder / name, folder / name)
    _drop_nothings(folder / TOKENIZER_CONFIG)


def _drop_nothings(path: Path) -> None:
    """Leave out keys whose value is null, which the engine's tokenizer does not expect."""
    if path.is_file():
        keys = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        kept = {key: value for key, value in keys.items() if value is not None}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))


def hold(found: TokenFidelity, allowed: Tolerance, precision: Precision) -> None:
    """Refuse a packed model that is too far from its original. Raises ``BundleError``."""
    if (
        found.token_agreement < allowed.token_agreement
        or found.log_probability_distance > allowed.log_probability_distance
    ):
        raise BundleError(
            f"the packed model is not its original any more: {found}, where {precision} allows "
            f"{allowed.token_agreement:.0%} at least and {allowed.log_probability_distance} at "
            "most; nothing was written; take --precision int8 or float32"
        )


def measured(bundle: Bundle, request: GeneratorRequest, found: TokenFidelity) -> Bundle:
    """Write into the manifest how the model does here: its speed, and how sure it is."""
    settings = ModelSettings(
        source=str(bundle.folder), runtime=bundle.manifest.runtime, batch_prompts=1
    )
    model = load_model(settings)
    options = {"max_new_tokens": WRITTEN_TOKENS}
    try:
        started_s = time.perf_counter()
        entries = model.answer([Request("generate", text, options) for text in request.prompts])
        spent_s = time.perf_counter() - started_s
    finally:
        model.close()
    scored: list[Any] = list(entries)
    if refused := [entry for entry in scored if isinstance(entry, Exception)]:
        raise BundleError(f"the packed model fails at a sample prompt: {refused[0]}")
    written = sum(_tokens_of(entry) for entry in scored)
    sure = Confidences(
        prompts=len(scored),
        of=("samples",),
        quantiles=tuple(quantiles([entry.confidence for entry in scored])),
    )
    manifest = msgspec.structs.replace(
        bundle.manifest,
        confidences={"generate": sure},
        conversion=Conversion(
            prompts=len(scored),
            token_agreement=round(found.token_agreement, 4),
            log_probability_distance=round(found.log_probability_distance, 4),
            tokens_s=round(written / spent_s, 1),
            threads=settings.threads,
        ),
    )
    return Bundle.write(bundle.folder, manifest)


def _tokens_of(scored: Scored) -> int:
    return scored.answer.tokens_out if isinstance(scored.answer, Completion) else 0
