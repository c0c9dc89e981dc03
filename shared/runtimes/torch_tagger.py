"""Tagging with PyTorch and Hugging Face transformers: what a cloud tier runs.

Reads a local folder or a model of the Hugging Face hub that was trained for token classification.
Where its config.json says ``"word_shapes": true``, the model is told how each word is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import BundleError, RuntimeUnavailable
from shared.runtimes.padding import Padding, pad
from shared.runtimes.tagging import Encoding, Tagged, Taggings, rows_of
from shared.runtimes.token_batches import Limits
from shared.runtimes.torch_folder import (
    device_of,
    padding_of,
    read_config,
    read_labels,
    read_tokenizer,
    read_weights,
    silence,
    token_limit,
)
from shared.runtimes.words import PLAIN, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from shared.errors import ModelFailed
    from shared.messages import Scored
    from shared.runtimes.model import ModelSettings
    from shared.tasks import Request, Task
    from shared.tasks.tag import Certainty

HEAD: Final = "ForTokenClassification"


class TorchTagger:
    """A ``Model`` for a Hugging Face token classifier."""

    tasks: frozenset[Task] = frozenset({"tag"})
    confidence_kind: Certainty = "mean"

    def __init__(self, settings: ModelSettings) -> None:
        self.name = settings.source
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._device = device_of(settings.device)
        with silence():
            config = read_config(settings.source)
            self.digest: str = getattr(config, "_commit_hash", None) or ""  # of the hub
            self.names = read_labels(config, settings)
            self.shapes = _told_of_shapes(settings.source, config)
            self.tokenizer = _fast(settings.source, read_tokenizer(settings.source))
            kind = transformers.AutoModelForTokenClassification
            self.network = read_weights(kind, settings, self._device, "tag")
        self.max_tokens = token_limit(config, self.tokenizer, self.network, settings.max_tokens)
        self.padding = padding_of(config, self.tokenizer)
        self._taggings = Taggings(
            self.names,
            encode=self._encode,
            forward=self._forward,
            limits=Limits(settings.batch_prompts),
            certainty=self.confidence_kind,
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        if self.network is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        return self._taggings.answer(requests)

    def close(self) -> None:
        """Let go of the weights, and of the GPU memory they held."""
        self.network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text comes to, before anything is cut off."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    def _encode(self, text: str) -> Encoding:
        read = self.tokenizer(text, truncation=True, max_length=self.max_tokens)
        encoding: Encoding = read.encodings[0]
        return encoding

    def _forward(self, batch: list[Tagged]) -> list[np.ndarray]:
        ids, mask = pad([read.ids for read in batch], self.padding)
        given = {"input_ids": ids, "attention_mask": mask}
        if self.shapes:
            filler = Padding(PLAIN, self.padding.side)
            given["token_type_ids"], _ = pad([read.shapes for read in batch], filler)
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(one).to(self._device) for name, one in given.items()}
            logits = self.network(**tensors).logits.float().cpu().numpy()
        return rows_of(logits, batch, self.padding.side)


def _told_of_shapes(source: str, config: Any) -> bool:
    told = bool(getattr(config, "word_shapes", False))
    if told and getattr(config, "type_vocab_size", 0) != SHAPES:
        raise BundleError(
            f"{source}: config.json has word_shapes, and then type_vocab_size is {SHAPES}, the "
            "number of ways a word may be written; correct one of them"
        )
    return told


def _fast(source: str, tokenizer: Any) -> Any:
    if not tokenizer.is_fast:
        raise BundleError(
            f"{source}: {type(tokenizer).__name__} does not say which characters a token is; "
            "choose a model with a tokenizer.json"
        )
    return tokenizer
