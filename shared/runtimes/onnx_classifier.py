"""Classification with ONNX Runtime and ``tokenizers`` alone: what a device runs.

Answers from a bundle (``shared.runtimes.bundle``). Leaves out how the weights were made
(``models.pack``). A bundle whose weights are int8 computes the range of its activations for each
batch, so its probabilities move a little with the batch; ``batch_prompts: 1`` makes them exactly
repeatable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable, SettingsError
from shared.runtimes.bundle import Bundle
from shared.runtimes.classifier_batches import Batches, Tokens
from shared.runtimes.padding import Padding, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes.model import ModelSettings
    from shared.tasks import Request, Task

_PROVIDERS: Final = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_ERRORS_ONLY: Final = 3
_BATCH_TOKENS: Final = 2_048
"""Run together, at most: what a run needs once, the engine keeps, and longer runs are no faster."""


class OnnxClassifier:
    """A ``Model`` for a bundle."""

    tasks: frozenset[Task] = frozenset({"classify"})

    def __init__(self, settings: ModelSettings) -> None:
        bundle = Bundle.open(settings.source)
        self.name = bundle.manifest.name
        self.digest = bundle.digest_of(settings.answer)
        self.labels = bundle.manifest.labels
        self.expected = bundle.expected_of(settings.answer)
        self.confidence_kind = bundle.manifest.confidence
        self._tokenizer = load_tokenizer(bundle, settings.max_tokens)
        self._padding = Padding(bundle.manifest.pad_token, bundle.manifest.padding)
        self._session: onnxruntime.InferenceSession | None = _load_session(bundle, settings)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        _check_graph(bundle, self._session)
        self._batches = Batches(
            self.labels,
            tokenise=self._tokenise,
            forward=self._forward,
            batch_prompts=settings.batch_prompts,
            batch_tokens=_BATCH_TOKENS,
            second=bundle.second_opinion(settings.answer),
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        if self._session is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        return self._batches.answer(requests)

    def close(self) -> None:
        """Let go of the session."""
        self._session = None

    def _tokenise(self, text: str) -> Tokens:
        # Not encode_batch: that starts a thread for every core, and is no faster for one text.
        ids: Tokens = self._tokenizer.encode(text).ids
        return ids

    def _forward(self, batch: list[Tokens]) -> list[list[float]]:
        assert self._session is not None  # noqa: S101 - answer() has seen to it
        ids, mask = pad(batch, self._padding)
        feed = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        output = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        if output.shape != (len(batch), len(self.labels)):
            raise ValueError(
                f"{len(batch)} prompts of {len(self.labels)} labels gave logits of shape "
                f"{output.shape}"
            )
        logits: list[list[float]] = output.tolist()
        return logits


def load_tokenizer(bundle: Bundle, max_tokens: int | None) -> Tokenizer:
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


def _load_session(bundle: Bundle, settings: ModelSettings) -> onnxruntime.InferenceSession:
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


def _check_graph(bundle: Bundle, session: onnxruntime.InferenceSession) -> None:
    unknown = sorted({node.name for node in session.get_inputs()} - _INPUTS)
    if unknown:
        raise BundleError(
            f"{bundle.weights}: wants inputs that nobody gives ({', '.join(unknown)}); "
            "pack the bundle again"
        )
    shape = session.get_outputs()[0].shape
    if len(shape) != 2:  # noqa: PLR2004 - prompts, labels
        raise BundleError(
            f"{bundle.weights}: gives values of shape {shape}, not one for each prompt and label; "
            "pack the bundle again"
        )
    width = shape[-1]
    if isinstance(width, int) and width != len(bundle.manifest.labels):
        raise BundleError(
            f"{bundle.folder}: bundle.yaml has {len(bundle.manifest.labels)} labels, but "
            f"{bundle.weights.name} has {width}; pack the bundle again"
        )
