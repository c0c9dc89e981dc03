"""Classification with ONNX Runtime and ``tokenizers`` alone: what a device runs.

Answers from a bundle (``shared.runtimes.bundle``). Leaves out how the weights were made
(``models.pack``). A bundle whose weights are int8 computes the range of its activations for each
batch, so its probabilities move a little with the batch; ``batch_prompts: 1`` makes them exactly
repeatable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shared.errors import RuntimeUnavailable
from shared.runtimes.classifier_batches import Batches, Tokens
from shared.runtimes.onnx_session import BATCH_TOKENS, check_graph, load_session, load_tokenizer
from shared.runtimes.padding import Padding, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnxruntime

    from shared.errors import ModelFailed
    from shared.messages import Scored
    from shared.runtimes.bundle import Bundle
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Request, Task


class OnnxClassifier:
    """A ``Model`` for a bundle."""

    tasks: frozenset[Task] = frozenset({"classify"})

    def __init__(self, bundle: Bundle, settings: ModelSettings) -> None:
        self.name = bundle.manifest.name
        self.digest = bundle.digest_of(settings.answer)
        self.labels = bundle.manifest.labels
        self.expected = bundle.expected_of(settings.answer)
        self.confidence_kind = bundle.manifest.confidence
        self._tokenizer = load_tokenizer(bundle, settings.max_tokens)
        self._padding = Padding(bundle.manifest.pad_token, bundle.manifest.padding)
        self._session: onnxruntime.InferenceSession | None = load_session(bundle, settings)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        check_graph(bundle, self._session, places="prompt")
        self._batches = Batches(
            self.labels,
            tokenise=self._tokenise,
            forward=self._forward,
            batch_prompts=settings.batch_prompts,
            batch_tokens=BATCH_TOKENS,
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
