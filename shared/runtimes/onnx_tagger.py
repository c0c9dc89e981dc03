"""Tagging with ONNX Runtime and ``tokenizers`` alone: what a device runs.

Answers from a bundle (``shared.runtimes.bundle``). What is beyond the tokens that the bundle reads
is not tagged. Its batches move its numbers a little, as a classifier's do
(``shared.runtimes.onnx_classifier``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shared.errors import RuntimeUnavailable
from shared.runtimes.onnx_session import BATCH_TOKENS, check_graph, load_session, load_tokenizer
from shared.runtimes.padding import Padding, pad
from shared.runtimes.tagging import Tagged, Taggings, rows_of
from shared.runtimes.token_batches import Limits
from shared.runtimes.words import PLAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnxruntime

    from shared.errors import ModelFailed
    from shared.messages import Scored
    from shared.runtimes.bundle import Bundle
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Request, Task


class OnnxTagger:
    """A ``Model`` for a bundle."""

    tasks: frozenset[Task] = frozenset({"tag"})

    def __init__(self, bundle: Bundle, settings: ModelSettings) -> None:
        bundle.second_opinion(settings.answer)  # nobody can be heard beside a tagger
        manifest = bundle.manifest
        self.name = manifest.name
        self.digest = bundle.digest
        self.expected = bundle.expected_of(None)
        self.confidence_kind = manifest.certainty
        self._padding = Padding(manifest.pad_token, manifest.padding)
        self._told = manifest.shapes
        self._session: onnxruntime.InferenceSession | None = load_session(bundle, settings)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        check_graph(bundle, self._session, places="prompt, token")
        self._taggings = Taggings(
            manifest.labels,
            encode=load_tokenizer(bundle, settings.max_tokens).encode,
            forward=self._forward,
            limits=Limits(settings.batch_prompts, BATCH_TOKENS),
            certainty=manifest.certainty,
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        if self._session is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        return self._taggings.answer(requests)

    def close(self) -> None:
        """Let go of the session."""
        self._session = None

    def _forward(self, batch: list[Tagged]) -> list[np.ndarray]:
        assert self._session is not None  # noqa: S101 - answer() has seen to it
        ids, mask = pad([read.ids for read in batch], self._padding)
        feed = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            filler = Padding(PLAIN, self._padding.side)
            ways, _ = pad([read.shapes for read in batch], filler)
            feed["token_type_ids"] = ways if self._told else np.zeros_like(ids)
        output = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        return rows_of(output, batch, self._padding.side)
