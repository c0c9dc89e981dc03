"""Classification with PyTorch and Hugging Face transformers: what a cloud tier runs.

Reads a local folder or a model of the Hugging Face hub that was trained for sequence
classification. Leaves out every other head: a model without a trained one would answer at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable
from shared.runtimes.classifier_batches import Batches, Tokens
from shared.runtimes.padding import pad
from shared.runtimes.torch_folder import (
    architecture_of,
    device_of,
    padding_of,
    read_config,
    read_labels,
    read_tokenizer,
    read_weights,
    silence,
    token_limit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import Scored
    from shared.runtimes.model import ModelSettings
    from shared.tasks import Request, Task

_HEAD: Final = "ForSequenceClassification"


class TorchClassifier:
    """A ``Model`` for a Hugging Face sequence classifier."""

    tasks: frozenset[Task] = frozenset({"classify"})
    shapes = False

    def __init__(self, settings: ModelSettings) -> None:
        self.name = settings.source
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._device = device_of(settings.device)
        with silence():
            config = read_config(settings.source)
            _check_config(settings.source, config)
            self.digest: str = getattr(config, "_commit_hash", None) or ""  # of the hub
            self.labels = read_labels(config, settings)
            self.tokenizer = read_tokenizer(settings.source)
            self.network = read_weights(
                transformers.AutoModelForSequenceClassification, settings, self._device, "classify"
            )
        self.max_tokens = token_limit(config, self.tokenizer, self.network, settings.max_tokens)
        self.padding = padding_of(config, self.tokenizer)
        self._batches = Batches(
            self.labels,
            tokenise=self._tokenise,
            forward=self._forward,
            batch_prompts=settings.batch_prompts,
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        if self.network is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        return self._batches.answer(requests)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""
        return self.labels

    def close(self) -> None:
        """Let go of the weights, and of the GPU memory they held."""
        self.network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text comes to, before anything is cut off."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    def _tokenise(self, text: str) -> Tokens:
        ids: Tokens = self.tokenizer(text, truncation=True, max_length=self.max_tokens)["input_ids"]
        return ids

    def _forward(self, batch: list[Tokens]) -> list[list[float]]:
        ids, mask = (torch.from_numpy(array) for array in pad(batch, self.padding))
        with torch.inference_mode():
            output = self.network(
                input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
            )
            logits: list[list[float]] = output.logits.float().tolist()
        return logits


def _check_config(source: str, config: Any) -> None:
    """Refuse what was not trained to choose one of several labels."""
    if _HEAD not in architecture_of(config):
        raise BundleError(
            f"{source}: is no sequence classifier (its config.json says "
            f"{architecture_of(config)}); choose a model that was trained to classify"
        )
    if config.problem_type == "regression":
        raise BundleError(
            f"{source}: measures and does not classify (problem_type is regression in its "
            "config.json); choose a model that was trained to classify"
        )
    if config.problem_type == "multi_label_classification" or config.num_labels < 2:  # noqa: PLR2004
        raise BundleError(
            f"{source}: does not choose one of several labels, so its largest probability is no "
            "confidence; choose a single-label classifier"
        )
