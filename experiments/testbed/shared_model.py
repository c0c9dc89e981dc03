"""One model for many devices in a process, each of which uses it as if it were its own."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from shared.runtimes import Generator, expected_of, labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.runtimes import Entry, Generation, Model
    from shared.tasks import Request, Task

_TEXTS_APART = frozenset({"genai"})
"""Engines whose texts under way have nothing in common, so that any of them may go on next."""


def shared_by_many(model: Model, runtime: str) -> OneAtATime:
    """Return the model for devices to share: by step where its engine can, else by answer."""
    if isinstance(model, Generator) and runtime in _TEXTS_APART:
        return OneStepAtATime(model)
    return OneAtATime(model)


class OneAtATime:
    """A model that many devices share: a model is used from one thread at a time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model.name

    @property
    def digest(self) -> str:
        """What tells the model from others of its name."""
        return self._model.digest

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks that the model answers."""
        return self._model.tasks

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model can say."""
        return labels_of(self._model)

    @property
    def expected(self) -> Mapping[Task, Sequence[float]]:
        """Quantiles of its confidences, as far as they are known."""
        return expected_of(self._model)

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer when it is this thread's turn."""
        with self._turn:
            return self._model.answer(requests)

    def close(self) -> None:
        """Let go of the weights."""
        self._model.close()


class OneStepAtATime(OneAtATime):
    """A generator that many devices share: their texts take turns at every token."""

    def __init__(self, model: Generator) -> None:
        super().__init__(model)
        self._generator = model
        self.at_once = model.at_once
        self.tokens_at_once = model.tokens_at_once

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request when it is this thread's turn."""
        with self._turn:
            return self._generator.begin(request, deadline_s=deadline_s)

    def step(self, generations: Sequence[Generation]) -> Sequence[Entry | None]:
        """Go on with one device's texts when it is this thread's turn."""
        with self._turn:
            return self._generator.step(generations)
