"""What ONNX Runtime and ``tokenizers`` make of a bundle's files, whatever its task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import onnxruntime
from tokenizers import Tokenizer

from shared.errors import BundleError, RuntimeUnavailable, SettingsError

if TYPE_CHECKING:
    from shared.runtimes.bundle import Bundle
    from shared.runtimes.embedder_bundle import EmbedderBundle
    from shared.runtimes.model_settings import ModelSettings

BATCH_TOKENS: Final = 2_048
"""Run together, at most: what a run needs once, the engine keeps, and longer runs are no faster."""
_PROVIDERS: Final = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_ERRORS_ONLY: Final = 3


def load_tokenizer(bundle: Bundle | EmbedderBundle, max_tokens: int | None) -> Tokenizer:
    """Return a bundle's tokenizer, which cuts off what is beyond its limit, or ``max_tokens``.

    Raises ``BundleError`` when it is none, and ``SettingsError`` for a limit beyond the bundle's.
    """
    limit = bundle.manifest.max_tokens
    if max_tokens is not None and max_tokens > limit:
        raise SettingsError(
            f"model.max_tokens is {max_tokens}, but {bundle.folder} reads {limit} at most"
        )
    try:
        tokenizer = Tokenizer.from_file(str(bundle.tokenizer))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # its panics are no exceptions
        raise BundleError(
            f"{bundle.tokenizer}: is no tokenizer that this version of tokenizers reads "
            f"({error}); pack the bundle again"
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens or limit, direction=bundle.manifest.truncation)
    return tokenizer


def load_session(
    bundle: Bundle | EmbedderBundle, settings: ModelSettings
) -> onnxruntime.InferenceSession:
    """Return a session for a bundle's graph on the providers that the settings name, in order.

    Raises ``RuntimeUnavailable`` when a provider is not here, ``BundleError`` for a graph that is
    none.
    """
    providers = [_PROVIDERS[name] for name in settings.providers]
    available = onnxruntime.get_available_providers()
    for name, provider in zip(settings.providers, providers, strict=True):
        if provider not in available:
            here = ", ".join(n for n, p in _PROVIDERS.items() if p in available)
            raise RuntimeUnavailable(
                f"model.providers names {name}, but the onnxruntime installed here offers {here}; "
                "install a build that has it or change model.providers"
            )
    try:
        session = onnxruntime.InferenceSession(
            str(bundle.weights), _session_options(settings.threads), providers=providers
        )
    except Exception as error:
        raise BundleError(f"{bundle.weights}: onnxruntime cannot load it: {error}") from error
    if session.get_providers()[0] != providers[0]:
        raise RuntimeUnavailable(
            f"the execution provider {settings.providers[0]} did not start; check its driver and "
            "libraries, or set model.providers to [cpu]"
        )
    return session


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return options for a shared machine: few threads, which sleep when idle."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    # Plans kept for every length ever seen would grow without end.
    options.enable_mem_pattern = False
    return options


def check_graph(bundle: Bundle, session: onnxruntime.InferenceSession, *, places: str) -> None:
    """Raise ``BundleError`` unless the graph takes what is given to it and has the labels.

    ``places`` names what it gives values for, each a dimension, but for the labels.
    """
    unknown = sorted({node.name for node in session.get_inputs()} - _INPUTS)
    if unknown:
        raise BundleError(
            f"{bundle.weights}: wants inputs that nobody gives ({', '.join(unknown)}); "
            "pack the bundle again"
        )
    shape = session.get_outputs()[0].shape
    if len(shape) != len(places.split(", ")) + 1:
        raise BundleError(
            f"{bundle.weights}: gives values of shape {shape}, not one for each {places} and "
            "label; pack the bundle again"
        )
    width = shape[-1]
    if isinstance(width, int) and width != len(bundle.manifest.labels):
        raise BundleError(
            f"{bundle.folder}: bundle.yaml has {len(bundle.manifest.labels)} labels, but "
            f"{bundle.weights.name} has {width}; pack the bundle again"
        )
