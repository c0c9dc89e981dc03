"""How a classifier works through a list of prompts, whatever its engine.

Prompts are tokenised one by one, sorted by length and cut into batches of similar length, so
that little padding is computed. Leaves out everything an engine does: turning a text into tokens
and a batch of tokens into logits are handed in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from shared.errors import ModelFailed
from shared.messages import Scored
from shared.tasks.classify import Label, max_probability, softmax

if TYPE_CHECKING:
    from shared.messages import ConfidenceKind
    from shared.runtimes.second_opinion import SecondOpinion
    from shared.tasks import Request

Tokens: TypeAlias = list[int]
Tokenise: TypeAlias = Callable[[str], Tokens]
Forward: TypeAlias = Callable[[list[Tokens]], list[list[float]]]
"""From a batch of token ids to one row of logits per prompt."""

_ENDS = (KeyboardInterrupt, SystemExit)
_FREE_PADDING_TOKENS = 8
_PADDING_SHARE = 0.25


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
        self._tokenise = tokenise
        self._forward = forward
        self._batch_prompts = batch_prompts
        self._batch_tokens = batch_tokens
        self._second = second
        self.confidence_kind: ConfidenceKind = "max_probability" if second is None else second.kind

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return one entry per request, in order; see ``Model.answer``."""
        entries: dict[int, Scored | ModelFailed] = {}
        tokens: dict[int, Tokens] = {}
        tokenise_us: dict[int, float] = {}
        for index, request in enumerate(requests):
            start_s = time.perf_counter()
            try:
                tokens[index] = self._tokenise(_text_of(request))
            except _ENDS:
                raise
            except BaseException as error:  # noqa: BLE001 - an engine's panic is no Exception
                entries[index] = _failed("tokenise", error)
            tokenise_us[index] = (time.perf_counter() - start_s) * 1e6
        for batch in _cut(tokens, self._batch_prompts, self._batch_tokens):
            entries.update(self._run(batch, requests, tokens, tokenise_us))
        return [entries[index] for index in range(len(requests))]

    def _run(
        self,
        batch: list[int],
        requests: Sequence[Request],
        tokens: dict[int, Tokens],
        tokenise_us: dict[int, float],
    ) -> Iterator[tuple[int, Scored | ModelFailed]]:
        """Answer one batch; when it fails as a whole, its prompts one at a time."""
        start_s = time.perf_counter()
        try:
            rows = self._forward([tokens[index] for index in batch])
        except _ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - an engine's panic is no Exception
            if len(batch) == 1:
                yield batch[0], _failed("run on", error)
                return
            for index in batch:
                yield from self._run([index], requests, tokens, tokenise_us)
            return
        share_us = (time.perf_counter() - start_s) * 1e6 / len(batch)
        for index, logits in zip(batch, rows, strict=True):
            spent_us = share_us + tokenise_us[index]
            yield index, self._scored(requests[index].content, logits, spent_us)

    def _scored(self, text: str, logits: list[float], spent_us: float) -> Scored | ModelFailed:
        start_s = time.perf_counter()
        try:
            probabilities = softmax(logits)
        except ValueError as error:
            return ModelFailed(f"the model gave no probabilities: {error}")
        index, confidence = max_probability(probabilities)
        if self._second is not None:
            probabilities, index, confidence = self._second.judge(text, probabilities)
        elapsed_us = round(spent_us + (time.perf_counter() - start_s) * 1e6)
        return Scored(
            self._answers[index], confidence, elapsed_us, probabilities, self.confidence_kind
        )


def _cut(tokens: dict[int, Tokens], batch_prompts: int, batch_tokens: int) -> Iterator[list[int]]:
    """Yield the prompts in batches of similar length, the shortest first."""
    batch: list[int] = []
    limit_tokens = 0.0
    for index in sorted(tokens, key=lambda index: len(tokens[index])):
        length = len(tokens[index])
        full = len(batch) == batch_prompts or (len(batch) + 1) * length > batch_tokens
        if batch and (full or length > limit_tokens):
            yield batch
            batch = []
        if not batch:
            limit_tokens = length * (1 + _PADDING_SHARE) + _FREE_PADDING_TOKENS
        batch.append(index)
    if batch:
        yield batch


def _text_of(request: Request) -> str:
    if request.task != "classify" or request.options:
        raise ValueError(f"a classifier takes no {request.task!r} with {dict(request.options)}")
    return request.content


def _failed(what: str, error: BaseException) -> ModelFailed:
    return ModelFailed(f"the model could not {what} this prompt: {type(error).__name__}: {error}")
