"""What is known of a tier's model before it is loaded: its labels, and its fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from shared.errors import BundleError
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle, sha256_of
from shared.runtimes.head_manifest import TABLE
from shared.tasks.classify import max_probability

if TYPE_CHECKING:
    from shared.runtimes.agreement_head import AgreementHead

_CONFIG = "config.json"


class TierModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier and the model that it serves.

    ``before`` is the same model before it was quantised: its reliability is reported beside.
    """

    tier: Annotated[str, Meta(min_length=1, description="name of the tier")]
    model: ModelSettings
    before: ModelSettings | None = None


class ModelFacts(NamedTuple):
    """Facts of one model.

    ``fingerprint`` (64 hexadecimal digits) changes with any byte of the model's files and with
    every setting that can move its probabilities or its speed; a head moves neither. ``settings``
    are those to load it with. ``max_tokens`` is where longer prompts are cut; None if only the
    loaded model knows. ``head`` makes the confidence that routing goes by; None where that is the
    largest probability.
    """

    fingerprint: str
    labels: tuple[str, ...]
    settings: ModelSettings
    max_tokens: int | None
    head: AgreementHead | None = None

    def routing_confidence(self, text: str, probabilities: tuple[float, ...]) -> float:
        """Return what a tier with this model routes a text by, from the model's answer to it."""
        label, confidence = max_probability(probabilities)
        return self.head.confidence(text, probabilities, label) if self.head else confidence


def read_facts(settings: ModelSettings) -> ModelFacts:
    """Read the facts of the model that the settings name, without loading it.

    The probabilities of int8 weights move with their batch, so they are run prompt by prompt.
    Raises ``BundleError`` when the model is missing, altered or only named, not here.
    """
    if settings.runtime == "transformers":
        return _folder_facts(settings)
    bundle = Bundle.open(settings.source)
    manifest = bundle.manifest
    if manifest.precision == "int8":
        settings = msgspec.structs.replace(settings, batch_prompts=1)
    return ModelFacts(
        _fingerprint(settings, {k: v for k, v in manifest.files.items() if k != TABLE}),
        manifest.labels,
        settings,
        settings.max_tokens or manifest.max_tokens,
        bundle.head(),
    )


def _folder_facts(settings: ModelSettings) -> ModelFacts:
    folder = Path(settings.source)
    if not (folder / _CONFIG).is_file():
        raise BundleError(
            f"{folder}: is no model folder with a {_CONFIG}; answers are kept by the hashes of a "
            "model's files, so download a model of the hub into a folder and name that"
        )
    files = {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file()}
    return ModelFacts(
        _fingerprint(settings, files),
        settings.labels or _config_labels(folder / _CONFIG),
        settings,
        settings.max_tokens,
    )


def _config_labels(path: Path) -> tuple[str, ...]:
    try:
        names = msgspec.json.decode(path.read_bytes())["id2label"]
        return tuple(str(names[str(index)]) for index in range(len(names)))
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path}: does not name the labels under id2label; set model.labels"
        ) from error


def _fingerprint(settings: ModelSettings, files: dict[str, str]) -> str:
    """Hash the files' hashes and the settings, less the place where the files lie."""
    how = msgspec.json.encode(msgspec.structs.replace(settings, source="-"), order="sorted")
    return hashlib.sha256(how + msgspec.json.encode(files, order="sorted")).hexdigest()
