"""How a classifier answers a list of prompts, whatever its engine.

Leaves out everything an engine does: turning a text into tokens and a batch of tokens into logits
are handed in; which prompts run together is ``shared.runtimes.token_batches``' business.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from shared.errors import ModelFailed
from shared.messages import Scored
from shared.runtimes.token_batches import Limits, Steps, answer_in_batches
from shared.tasks.classify import Label, max_probability, softmax

if TYPE_CHECKING:
    from shared.messages import ConfidenceKind
    from shared.runtimes.second_opinion import SecondOpinion
    from shared.tasks import Request

Tokens: TypeAlias = list[int]
Tokenise: TypeAlias = Callable[[str], Tokens]
Forward: TypeAlias = Callable[[list[Tokens]], list[list[float]]]
"""From a batch of token ids to one row of logits per prompt."""


class Batches:
    """Answers lists of prompts with one model, ``batch_prompts`` at a time at most."""

    def __init__(
        self,
        labels: tuple[str, ...],
        *,
        tokenise: Tokenise,
        forward: Forward,
        batch_prompts: int,
        batch_tokens: int = sys.maxsize,
        second: SecondOpinion | None = None,
    ) -> None:
        """Run as many prompts together as both limits allow, ``batch_tokens`` with the padding.

        ``second`` is heard on every answer and its confidence; without one the answer is the
        model's, and the confidence its largest probability.
        """
        self._answers = tuple(Label(label) for label in labels)
        self._limits = Limits(batch_prompts, batch_tokens)
        self._second = second
        self._steps = Steps(
            read=lambda request: tokenise(_text_of(request)), forward=forward, scored=self._scored
        )
        self.confidence_kind: ConfidenceKind = "max_probability" if second is None else second.kind

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return one entry per request, in order; see ``Model.answer``."""
        return answer_in_batches(requests, self._steps, self._limits)

    def _scored(
        self, request: Request, tokens: Tokens, logits: list[float], spent_us: float
    ) -> Scored | ModelFailed:
        del tokens
        start_s = time.perf_counter()
        try:
            probabilities = softmax(logits)
        except ValueError as error:
            return ModelFailed(f"the model gave no probabilities: {error}")
        index, confidence = max_probability(probabilities)
        if self._second is not None:
            probabilities, index, confidence = self._second.judge(request.content, probabilities)
        elapsed_us = round(spent_us + (time.perf_counter() - start_s) * 1e6)
        return Scored(
            self._answers[index], confidence, elapsed_us, probabilities, self.confidence_kind
        )


def _text_of(request: Request) -> str:
    if request.task != "classify" or request.options:
        raise ValueError(f"a classifier takes no {request.task!r} with {dict(request.options)}")
    return request.content
