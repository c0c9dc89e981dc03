"""What is known of a tier's model before it is loaded: its labels, and its fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from shared.errors import BundleError
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle
from shared.runtimes.bundle_files import sha256_of
from shared.runtimes.head_manifest import TABLE
from shared.runtimes.second_opinion import Judged
from shared.tasks.classify import max_probability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.runtimes.model_settings import Answers
    from shared.runtimes.second_opinion import SecondOpinion

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

    ``fingerprint`` (64 hexadecimal digits) changes with any byte of the model's files, or with the
    name and place of one behind a server, and with every setting that can move its probabilities or
    its speed; what is heard beside the model moves neither. ``settings`` are those to load the
    model alone with. ``max_tokens`` is where longer prompts are cut; None if only the loaded model
    knows. ``headed`` says whether its bundle has a head, and ``second`` is what is heard of that
    beside the model.
    """

    fingerprint: str
    labels: tuple[str, ...]
    settings: ModelSettings
    max_tokens: int | None
    headed: bool = False
    second: SecondOpinion | None = None

    def judge(self, text: str, probabilities: tuple[float, ...]) -> Judged:
        """Return what a tier with this model makes of what the model alone says to a text."""
        if self.second is not None:
            return self.second.judge(text, probabilities)
        return Judged(probabilities, *max_probability(probabilities))


def answering(tiers: Sequence[TierModel], answers: Mapping[str, Answers]) -> tuple[TierModel, ...]:
    """Return the tiers with the answers that are named for some of them."""
    return tuple(
        msgspec.structs.replace(
            tier, model=msgspec.structs.replace(tier.model, answer=answers[tier.tier])
        )
        if tier.tier in answers
        else tier
        for tier in tiers
    )


def read_facts(settings: ModelSettings) -> ModelFacts:
    """Read the facts of the model that the settings name, without loading it.

    The probabilities of int8 weights move with their batch, so they are run prompt by prompt.
    Raises ``BundleError`` when the model is missing, altered or only named, not here.
    """
    if settings.runtime == "transformers":
        return _folder_facts(settings)
    if settings.runtime == "openai":
        return _server_facts(settings)
    bundle = Bundle.open(settings.source)
    manifest, second = bundle.manifest, bundle.second_opinion(settings.answer)
    if settings.runtime == "onnx":
        settings = msgspec.structs.replace(settings, answer="model")
    if manifest.precision == "int8":
        settings = msgspec.structs.replace(settings, batch_prompts=1)
    return ModelFacts(
        _fingerprint(settings, {k: v for k, v in manifest.files.items() if k != TABLE}),
        manifest.labels,
        settings,
        settings.max_tokens or manifest.max_tokens,
        manifest.head is not None,
        second,
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


def _server_facts(settings: ModelSettings) -> ModelFacts:
    """Return what is known of a model behind a server: its name and where it is, no hash."""
    if not settings.labels:
        raise BundleError(
            f"{settings.source}: a model behind a server has no labels of its own; set model.labels"
        )
    plain = msgspec.structs.replace(settings, key_env="", key_file="", headers={}, in_flight=1)
    return ModelFacts(
        _fingerprint(plain, {"url": settings.source.rstrip("/")}), settings.labels, settings, None
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
    """Hash the files' hashes and the settings, less what tells where they lie or who is heard."""
    how = msgspec.to_builtins(msgspec.structs.replace(settings, source="-"))
    del how["answer"]
    how = msgspec.json.encode(how, order="sorted")
    return hashlib.sha256(how + msgspec.json.encode(files, order="sorted")).hexdigest()
