"""Classification with PyTorch and Hugging Face transformers: what a cloud tier runs.

Reads a local folder or a model of the Hugging Face hub that was trained for sequence
classification. Leaves out every other head: a model without a trained one would answer at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import transformers

from shared.errors import BundleError
from shared.runtimes.classifier_batches import Batches, Tokens
from shared.runtimes.padding import pad
from shared.runtimes.torch_folder import architecture_of, read_config, read_labels, silence
from shared.runtimes.torch_network import TorchNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.errors import ModelFailed
    from shared.messages import Scored
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Request, Task

_HEAD: Final = "ForSequenceClassification"


class TorchClassifier:
    """A ``Model`` for a Hugging Face sequence classifier."""

    tasks: frozenset[Task] = frozenset({"classify"})
    shapes = False

    def __init__(self, settings: ModelSettings) -> None:
        with silence():
            config = read_config(settings.source)
        _check_config(settings.source, config)
        self.name = settings.source
        self.labels = read_labels(config, settings)
        kind = transformers.AutoModelForSequenceClassification
        self.network = TorchNetwork(settings, config, kind, "classify")
        self.device = self.network.device
        self.digest = self.network.digest
        self._batches = Batches(
            self.labels,
            tokenise=self._tokenise,
            forward=self._forward,
            batch_prompts=settings.batch_prompts,
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        self.network.check_open()
        return self._batches.answer(requests)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in the order of the network's outputs."""
        return self.labels

    def close(self) -> None:
        """Let go of the weights."""
        self.network.close()

    def _tokenise(self, text: str) -> Tokens:
        ids: Tokens = self.network.encode(text)["input_ids"]
        return ids

    def _forward(self, batch: list[Tokens]) -> list[list[float]]:
        ids, mask = pad(batch, self.network.padding)
        logits = self.network.logits({"input_ids": ids, "attention_mask": mask})
        rows: list[list[float]] = logits.tolist()
        return rows


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
