"""Models whose deaths are counted, by the texts that are inside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shared.runtimes import Generator, Remote, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device_agent.delivery.attempts import Attempts
    from shared.runtimes import Entry, Generation, Model
    from shared.tasks import Request


def counted(model: Model, attempts: Attempts) -> Model:
    """Return the model with its deaths counted; one at a server takes us with it in no case."""
    if isinstance(model, Remote):
        return model
    if isinstance(model, Generator):
        return CountedGenerator(model, attempts)
    return CountedModel(model, attempts)


class CountedModel:
    """A model whose deaths are counted; a text that it died of before runs alone."""

    def __init__(self, model: Model, attempts: Attempts) -> None:
        self._model = model
        self._attempts = attempts
        self.name = model.name
        self.digest = model.digest
        self.tasks = model.tasks
        self.labels = labels_of(model)

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does, if we live."""
        texts = [request.content for request in requests]
        if len(texts) > 1 and any(map(self._attempts.died_of, texts)):
            return [answer for request in requests for answer in self.answer([request])]
        with self._attempts.inside(texts):
            return self._model.answer(requests)

    def close(self) -> None:
        """Close the model."""
        self._model.close()


class CountedGenerator:
    """A generator whose deaths are counted, against every text that is under way then."""

    def __init__(self, model: Generator, attempts: Attempts) -> None:
        self._model = model
        self._attempts = attempts
        self._texts: dict[int, str] = {}
        self.name = model.name
        self.digest = model.digest
        self.tasks = model.tasks
        self.labels = labels_of(model)
        self.at_once = model.at_once
        self.tokens_at_once = model.tokens_at_once

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Begin as the model does."""
        return _CountedGeneration(
            self._model.begin(request, deadline_s=deadline_s), request.content, self._left
        )

    def step(self, generations: Sequence[Generation]) -> Sequence[Entry | None]:
        """Go on as the model does, if we live."""
        inner = []
        for generation in generations:
            assert isinstance(generation, _CountedGeneration)  # noqa: S101 - we begin no others
            self._texts[id(generation)] = generation.text
            inner.append(generation.inner)
        self._attempts.hold(tuple(self._texts.values()))
        entries = self._model.step(inner)
        for generation, entry in zip(generations, entries, strict=False):
            if entry is not None:
                self._left(generation)
        return entries

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does, if we live."""
        with self._attempts.inside([request.content for request in requests]):
            return self._model.answer(requests)

    def close(self) -> None:
        """Close the model."""
        self._model.close()

    def _left(self, generation: Generation) -> None:
        if self._texts.pop(id(generation), None) is not None:
            self._attempts.hold(tuple(self._texts.values()))


class _CountedGeneration:
    """A text under way, of which its end is told."""

    def __init__(self, inner: Generation, text: str, left: Callable[[Generation], None]) -> None:
        self.inner = inner
        self.text = text
        self._left = left

    @property
    def tokens(self) -> int:
        return self.inner.tokens

    @property
    def written(self) -> int:
        return self.inner.written

    def close(self) -> None:
        self.inner.close()
        self._left(self)
