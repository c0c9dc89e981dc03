"""Models whose deaths are counted, by the texts that are inside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shared.runtimes import Generator, Remote
from shared.runtimes.around import GenerationAround, GeneratorAround, ModelAround

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


class CountedModel(ModelAround):
    """A model whose deaths are counted; a text that it died of before runs alone."""

    def __init__(self, model: Model, attempts: Attempts) -> None:
        super().__init__(model)
        self._attempts = attempts

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does, if we live."""
        texts = [request.content for request in requests]
        if len(texts) > 1 and any(map(self._attempts.died_of, texts)):
            return [answer for request in requests for answer in self.answer([request])]
        with self._attempts.inside(texts):
            return self._model.answer(requests)


class CountedGenerator(GeneratorAround):
    """A generator whose deaths are counted, against every text that is under way then."""

    def __init__(self, model: Generator, attempts: Attempts) -> None:
        super().__init__(model)
        self._attempts = attempts
        self._texts: dict[int, str] = {}

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Begin as the model does."""
        return _CountedGeneration(
            self._generator.begin(request, deadline_s=deadline_s), request.content, self._left
        )

    def step(self, generations: Sequence[Generation]) -> Sequence[Entry | None]:
        """Go on as the model does, if we live."""
        inner = []
        for generation in generations:
            assert isinstance(generation, _CountedGeneration)  # noqa: S101 - we begin no others
            self._texts[id(generation)] = generation.text
            inner.append(generation.inner)
        self._attempts.hold(tuple(self._texts.values()))
        entries = self._generator.step(inner)
        for generation, entry in zip(generations, entries, strict=False):
            if entry is not None:
                self._left(generation)
        return entries

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does, if we live."""
        with self._attempts.inside([request.content for request in requests]):
            return self._model.answer(requests)

    def _left(self, generation: Generation) -> None:
        if self._texts.pop(id(generation), None) is not None:
            self._attempts.hold(tuple(self._texts.values()))


class _CountedGeneration(GenerationAround):
    """A text under way, of which its end is told."""

    def __init__(self, inner: Generation, text: str, left: Callable[[Generation], None]) -> None:
        super().__init__(inner)
        self.text = text
        self._left = left

    def close(self) -> None:
        super().close()
        self._left(self)
