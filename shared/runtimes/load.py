"""Load the model that the settings name, importing its engine only now."""

from __future__ import annotations

from typing import Final

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable, SettingsError
from shared.runtimes.model import Model, ModelSettings
from shared.tasks.classify import requests

_FOREIGN_KEYS: Final = {
    "onnx": ("device", "precision", "labels"),
    "transformers": ("providers",),
}


def load_model(settings: ModelSettings) -> Model:
    """Return a model ready to answer; blocks for as long as loading takes.

    Raises ``SettingsError`` for a key that the chosen runtime does not use, ``BundleError`` when
    the model is missing, altered, no classifier or unable to answer, and ``RuntimeUnavailable``
    when its engine or execution provider is not installed.
    """
    _refuse_foreign_keys(settings)
    model = _construct(settings)
    _warm_up(model, settings.source)
    return model


def _construct(settings: ModelSettings) -> Model:
    try:
        if settings.runtime == "onnx":
            from shared.runtimes.onnx_classifier import OnnxClassifier  # noqa: PLC0415 - heavy

            return OnnxClassifier(settings)
        from shared.runtimes.torch_classifier import TorchClassifier  # noqa: PLC0415 - heavy

        return TorchClassifier(settings)
    except ModuleNotFoundError as error:
        extra = "." if settings.runtime == "onnx" else ".[cloud]"
        raise RuntimeUnavailable(
            f"the runtime {settings.runtime} needs {error.name}, which is not installed here; "
            f'in the folder of this project: pip install -e "{extra}"'
        ) from error


def _warm_up(model: Model, source: str) -> None:
    """Answer once, so that no prompt waits for first allocations and a useless model is found."""
    (entry,) = model.answer(requests(["warm up"]))
    if isinstance(entry, ModelFailed):
        model.close()
        raise BundleError(f"{source}: the model answers nothing: {entry}") from entry


def _refuse_foreign_keys(settings: ModelSettings) -> None:
    """Refuse a key meant for another runtime, which would be ignored in silence."""
    plain = ModelSettings(source=settings.source)
    for key in _FOREIGN_KEYS[settings.runtime]:
        if getattr(settings, key) != getattr(plain, key):
            raise SettingsError(
                f"model.{key} has no meaning for the runtime {settings.runtime}; remove it"
            )
