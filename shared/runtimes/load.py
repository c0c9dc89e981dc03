"""Load the model that the settings name, importing its engine only now."""

from __future__ import annotations

import importlib
import platform
import sys
from typing import Final, NamedTuple

from shared.errors import BundleError, PromptError, RuntimeUnavailable, SettingsError
from shared.runtimes.bundle import Bundle
from shared.runtimes.model import Generator, Model, Remote, labels_of
from shared.runtimes.model_settings import ModelSettings
from shared.runtimes.text_manifest import served_digest
from shared.tasks import Request, Task


class _Runtime(NamedTuple):
    """Where its models are loaded, the extra that installs it, and the settings only it has."""

    module: str
    load: str
    extra: str
    keys: tuple[str, ...]


_RUNTIMES: Final = {
    "onnx": _Runtime("onnx_models", "open_onnx", ".", ("providers", "answer")),
    "transformers": _Runtime(
        "torch_models",
        "open_torch",
        ".[cloud]",
        (
            *("device", "precision", "labels"),
            *("tokens_at_once", "max_new_tokens", "instruction", "certainty"),
        ),
    ),
    "genai": _Runtime(
        "genai_generator",
        "GenaiGenerator",
        ".[generate]",
        ("providers", "labels", "tokens_at_once", "max_new_tokens", "instruction", "certainty"),
    ),
    "ctranslate2": _Runtime(
        "ctranslate2_generator",
        "Ctranslate2Generator",
        ".[seq2seq]",
        (
            *("device", "labels"),
            *("tokens_at_once", "max_new_tokens", "instruction", "certainty"),
        ),
    ),
    "openai": _Runtime(
        "openai_server",
        "open_openai",
        ".[openai]",
        (
            *("model", "key_env", "key_file", "headers", "in_flight", "constraints"),
            *("labels", "max_new_tokens", "instruction", "certainty"),
        ),
    ),
}

_HERE: Final = ("threads", "batch_prompts", "max_tokens")
"""Settings of engines that run here, whichever."""


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
    if settings.runtime in ("transformers", "openai"):
        return ""
    bundle = Bundle.open(settings.source)
    if settings.runtime in ("genai", "ctranslate2"):
        return served_digest(bundle.digest, settings)
    return bundle.digest_of(settings.answer)


def probe(model: Model, task: Task, text: str) -> Request:
    """Return a small request of a task that a model of it can answer."""
    if task == "generate":
        return Request(task, text, {"max_new_tokens": 2})
    named = task == "classify" and isinstance(model, Generator | Remote) and not labels_of(model)
    return Request(task, text, {"labels": ["no", "yes"]} if named else {})


def _construct(settings: ModelSettings) -> Model:
    runtime = _RUNTIMES[settings.runtime]
    try:
        module = importlib.import_module(f"shared.runtimes.{runtime.module}")
        model: Model = getattr(module, runtime.load)(settings)
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"the runtime {settings.runtime} needs {error.name}, which is not installed here; "
            f'in the folder of this project: pip install -e "{runtime.extra}"{_why_not(settings)}'
        ) from error
    return model


def _why_not(settings: ModelSettings) -> str:
    """Say what stands in the way of an engine on this machine, where something does."""
    too_old = sys.version_info < (3, 11) and platform.machine() in ("aarch64", "arm64")
    if settings.runtime != "genai" or not too_old:
        return ""
    here = platform.python_version()
    return (
        f"; on arm64 it needs Python 3.11 or later, and this is {here}: use another for this agent"
    )


def _warm_up(model: Model, source: str) -> None:
    """Answer once, so that no prompt waits for first allocations and a useless model is found."""
    (entry,) = model.answer([probe(model, max(model.tasks), "warm up")])
    if isinstance(entry, PromptError):
        model.close()
        raise BundleError(f"{source}: the model answers nothing: {entry}") from entry


def _refuse_foreign_keys(settings: ModelSettings) -> None:
    """Refuse a key meant for another runtime, which would be ignored in silence."""
    plain = ModelSettings(source=settings.source)
    known = {key for runtime in _RUNTIMES.values() for key in runtime.keys}
    known |= set(_HERE) if settings.runtime == "openai" else set()
    for key in sorted(known.difference(_RUNTIMES[settings.runtime].keys)):
        if getattr(settings, key) != getattr(plain, key):
            raise SettingsError(
                f"model.{key} has no meaning for the runtime {settings.runtime}; remove it"
            )
