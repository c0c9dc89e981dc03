"""What a model can be asked, by its settings and its bundle's manifest: no engine is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shared.runtimes.bundle_files import MANIFEST
from shared.runtimes.manifest import read_manifest

if TYPE_CHECKING:
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Task


class Abilities(NamedTuple):
    """The tasks that a model is there for, and the labels among which it chooses."""

    tasks: frozenset[Task]
    labels: tuple[str, ...]


def abilities_of(settings: ModelSettings) -> Abilities | None:
    """Return what a model can be asked; None where only its engine knows.

    A language model that was given labels is there to classify, too. Raises ``BundleError``.
    """
    if settings.runtime == "openai":
        return _of_writer(settings.labels)
    if settings.runtime not in ("onnx", "genai", "ctranslate2"):
        return None
    manifest = read_manifest(Path(settings.source) / MANIFEST)
    if manifest.task != "generate":
        return Abilities(frozenset({manifest.task}), manifest.labels)
    return _of_writer(settings.labels)


def _of_writer(labels: tuple[str, ...]) -> Abilities:
    classifies: frozenset[Task] = frozenset({"classify"} if labels else ())
    return Abilities(classifies | {"generate"}, labels)
