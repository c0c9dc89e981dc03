"""The models that PyTorch runs, one for each task that a model of transformers was trained for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from transformers.models.auto import modeling_auto

from shared.errors import SettingsError
from shared.runtimes.torch_classifier import TorchClassifier
from shared.runtimes.torch_folder import read_config, silence
from shared.runtimes.torch_generator import TorchGenerator
from shared.runtimes.torch_tagger import HEAD, TorchTagger

if TYPE_CHECKING:
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Task

_WRITERS: Final = frozenset(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()) | frozenset(
    modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values()
)
"""Architectures that write, as transformers knows them."""
_OF_WRITERS: Final = ("tokens_at_once", "max_new_tokens", "instruction", "certainty")


def open_torch(settings: ModelSettings) -> TorchClassifier | TorchTagger | TorchGenerator:
    """Load the model that the settings name for what it was trained for.

    Raises ``BundleError`` where that is nothing that is served here, ``SettingsError`` for a key
    that has no meaning for it.
    """
    task = trained_for(settings.source)
    if task == "generate":
        return TorchGenerator(settings)
    plain = type(settings)(source=settings.source)
    for key in _OF_WRITERS:
        if getattr(settings, key) != getattr(plain, key):
            raise SettingsError(
                f"model.{key} is for models that write, and {settings.source} was trained to "
                f"{task}; remove it"
            )
    return TorchTagger(settings) if task == "tag" else TorchClassifier(settings)


def trained_for(source: str) -> Task:
    """Return the task of a model; of one that is for none, ``classify``, whose runtime says so."""
    with silence():
        config = read_config(source)
    architectures = config.architectures or []
    if any(HEAD in name for name in architectures):
        return "tag"
    return "generate" if _WRITERS.intersection(architectures) else "classify"
