"""The models that PyTorch runs, one for each task that a model of transformers was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.runtimes.torch_classifier import TorchClassifier
from shared.runtimes.torch_folder import architecture_of, read_config, silence
from shared.runtimes.torch_tagger import HEAD, TorchTagger

if TYPE_CHECKING:
    from shared.runtimes.model import ModelSettings
    from shared.tasks import Task


def open_torch(settings: ModelSettings) -> TorchClassifier | TorchTagger:
    """Load the model that the settings name for what it was trained for.

    Raises ``BundleError`` where that is nothing that is served here.
    """
    return (
        TorchTagger(settings)
        if trained_for(settings.source) == "tag"
        else TorchClassifier(settings)
    )


def trained_for(source: str) -> Task:
    """Return the task of a model; of one that is for none, ``classify``, whose runtime says so."""
    with silence():
        architecture = architecture_of(read_config(source))
    return "tag" if HEAD in architecture else "classify"
