"""The models that PyTorch runs, one for each task that a model of transformers was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.runtimes.torch_classifier import TorchClassifier
from shared.runtimes.torch_folder import architecture_of, read_config
from shared.runtimes.torch_tagger import HEAD, TorchTagger

if TYPE_CHECKING:
    from shared.runtimes.model import ModelSettings


def open_torch(settings: ModelSettings) -> TorchClassifier | TorchTagger:
    """Load the model that the settings name for what it was trained for.

    Raises ``BundleError`` where that is nothing that is served here.
    """
    if HEAD in architecture_of(read_config(settings.source)):
        return TorchTagger(settings)
    return TorchClassifier(settings)
