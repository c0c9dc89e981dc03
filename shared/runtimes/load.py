"""Load the model that the settings name, importing its engine only now."""

from __future__ import annotations

import importlib
from typing import Final, NamedTuple

from shared.errors import BundleError, PromptError, RuntimeUnavailable, SettingsError
from shared.runtimes.bundle import Bundle
from shared.runtimes.model import Model, ModelSettings
from shared.tasks import Request


class _Runtime(NamedTuple):
    """Where its models are loaded, the extra that installs it, and the settings only it has."""

    module: str
    load: str
    extra: str
    keys: tuple[str, ...]


_RUNTIMES: Final = {
    "onnx": _Runtime("onnx_models", "open_onnx", ".", ("providers", "answer")),
    "transformers": _Runtime(
        "torch_models", "open_torch", ".[cloud]", ("device", "precision", "labels")
    ),
}


def load_model(settings: ModelSettings) -> Model:
    """Return a model ready to answer; blocks for as long as loading takes.

    Raises ``SettingsError`` for a key that the chosen runtime does not use, ``BundleError`` when
    the model is missing, altered, of another kind or unable to answer, and ``RuntimeUnavailable``
    when its engine or execution provider is not installed.
    """
    _refuse_foreign_keys(settings)
    model = _construct(settings)
    _warm_up(model, settings.source)
    return model


def digest_of(settings: ModelSettings) -> str:
    """Return the digest of the model that the settings name, without loading it; empty if unknown.

    Every file of a bundle is held against its hash. Raises ``BundleError``.
    """
    if settings.runtime != "onnx":
        return ""
    return Bundle.open(settings.source).digest_of(settings.answer)


def _construct(settings: ModelSettings) -> Model:
    runtime = _RUNTIMES[settings.runtime]
    try:
        module = importlib.import_module(f"shared.runtimes.{runtime.module}")
        model: Model = getattr(module, runtime.load)(settings)
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"the runtime {settings.runtime} needs {error.name}, which is not installed here; "
            f'in the folder of this project: pip install -e "{runtime.extra}"'
        ) from error
    return model


def _warm_up(model: Model, source: str) -> None:
    """Answer once, so that no prompt waits for first allocations and a useless model is found."""
    task = next(iter(model.tasks))
    (entry,) = model.answer([Request(task, "warm up")])
    if isinstance(entry, PromptError):
        model.close()
        raise BundleError(f"{source}: the model answers nothing: {entry}") from entry


def _refuse_foreign_keys(settings: ModelSettings) -> None:
    """Refuse a key meant for another runtime, which would be ignored in silence."""
    plain = ModelSettings(source=settings.source)
    foreign = (name for name in _RUNTIMES if name != settings.runtime)
    for key in (key for name in foreign for key in _RUNTIMES[name].keys):
        if getattr(settings, key) != getattr(plain, key):
            raise SettingsError(
                f"model.{key} has no meaning for the runtime {settings.runtime}; remove it"
            )
