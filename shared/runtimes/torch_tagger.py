"""Tagging with PyTorch and Hugging Face transformers: what a cloud tier runs.

Reads a local folder or a model of the Hugging Face hub that was trained for token classification.
Where its config.json says ``"word_shapes": true``, the model is told how each word is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import transformers

from shared.errors import BundleError
from shared.runtimes.padding import Padding, pad
from shared.runtimes.tagging import Encoding, Tagged, Taggings, rows_of
from shared.runtimes.token_batches import Limits
from shared.runtimes.torch_folder import read_config, read_labels, silence
from shared.runtimes.torch_network import TorchNetwork
from shared.runtimes.words import PLAIN, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from shared.errors import ModelFailed
    from shared.messages import Scored
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Request, Task
    from shared.tasks.tag import Certainty

HEAD: Final = "ForTokenClassification"


class TorchTagger:
    """A ``Model`` for a Hugging Face token classifier."""

    tasks: frozenset[Task] = frozenset({"tag"})
    confidence_kind: Certainty = "mean"

    def __init__(self, settings: ModelSettings) -> None:
        with silence():
            config = read_config(settings.source)
        self.name = settings.source
        self.names = read_labels(config, settings)
        self.shapes = _told_of_shapes(settings.source, config)
        kind = transformers.AutoModelForTokenClassification
        self.network = TorchNetwork(settings, config, kind, "tag")
        self.device = self.network.device
        self.digest = self.network.digest
        _check_fast(settings.source, self.network.tokenizer)
        self._taggings = Taggings(
            self.names,
            encode=self._encode,
            forward=self._forward,
            limits=Limits(settings.batch_prompts),
            certainty=self.confidence_kind,
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        self.network.check_open()
        return self._taggings.answer(requests)

    def close(self) -> None:
        """Let go of the weights."""
        self.network.close()

    def _encode(self, text: str) -> Encoding:
        encoding: Encoding = self.network.encode(text).encodings[0]
        return encoding

    def _forward(self, batch: list[Tagged]) -> list[np.ndarray]:
        padding = self.network.padding
        ids, mask = pad([read.ids for read in batch], padding)
        given = {"input_ids": ids, "attention_mask": mask}
        if self.shapes:
            filler = Padding(PLAIN, padding.side)
            given["token_type_ids"], _ = pad([read.shapes for read in batch], filler)
        return rows_of(self.network.logits(given).numpy(), batch, padding.side)


def _told_of_shapes(source: str, config: Any) -> bool:
    told = bool(getattr(config, "word_shapes", False))
    if told and getattr(config, "type_vocab_size", 0) != SHAPES:
        raise BundleError(
            f"{source}: config.json has word_shapes, and then type_vocab_size is {SHAPES}, the "
            "number of ways a word may be written; correct one of them"
        )
    return told


def _check_fast(source: str, tokenizer: Any) -> None:
    if not tokenizer.is_fast:
        raise BundleError(
            f"{source}: {type(tokenizer).__name__} does not say which characters a token is; "
            "choose a model with a tokenizer.json"
        )
