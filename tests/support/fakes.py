"""Stand-ins that behave: a model whose confidence a test chooses by text."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from shared.errors import InvalidPrompt, ModelFailed
from shared.messages import Scored
from shared.runtimes.generations import answer_all
from shared.tasks.classify import Label
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.messages import ConfidenceKind
    from shared.runtimes import Entry, Generation
    from shared.tasks import Answer, Request, Task

BREAKS = "break the model"
"""A text on which a ``LookupModel`` raises, and takes the whole batch with it."""
FAILS = "fail alone"
"""A text that a ``LookupModel`` reports as failed, beside good answers to its neighbours."""


class LookupModel:
    """Looks confidences up by text; every answer is its own name, so that a test sees who spoke,
    unless ``answers`` has another for the text.

    ``hold`` makes it wait, in its thread, until ``release`` is called. With ``said``, which is then
    the largest probability of every answer, the confidences are those of a head.
    """

    def __init__(
        self,
        name: str = "lookup",
        confidences: Mapping[str, float] | None = None,
        *,
        otherwise: float = 1.0,
        takes_s: float = 0.0,
        tasks: frozenset[Task] = frozenset({"classify"}),
        digest: str = "",
        said: float | None = None,
        answers: Mapping[str, Answer] | None = None,
    ) -> None:
        self.name = name
        self.digest = digest
        self.tasks = tasks
        self.labels = ("negative", "positive")
        self.batches: list[list[str]] = []
        self.fails = {FAILS}
        self.closed = False
        self._confidences = dict(confidences or {})
        self.answers = dict(answers or {})
        self._otherwise = otherwise
        self._said = said
        self.confidence_kind: ConfidenceKind = "max_probability" if said is None else "agreement"
        self._takes_s = takes_s
        self._free = threading.Event()
        self._free.set()
        self._started = threading.Event()

    @property
    def seen(self) -> list[str]:
        """Every text that it was asked, in order."""
        return [text for batch in self.batches for text in batch]

    @property
    def busy(self) -> bool:
        """Whether it has begun on a batch since it was told to hold."""
        return self._started.is_set()

    def hold(self) -> None:
        """Keep whatever comes next until released."""
        self._started.clear()
        self._free.clear()

    def release(self) -> None:
        """Go on."""
        self._free.set()

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Answer as looked up."""
        texts = [request.content for request in requests]
        self.batches.append(texts)
        self._started.set()
        self._free.wait(timeout=30)
        time.sleep(self._takes_s)
        if BREAKS in texts:
            raise RuntimeError("the model broke")
        return [self._one(text) for text in texts]

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def _one(self, text: str) -> Scored | ModelFailed:
        if text in self.fails:
            return ModelFailed("no answer to this one")
        confidence = self._confidences.get(text, self._otherwise)
        said = () if self._said is None else (1.0 - self._said, self._said)
        answer = self.answers.get(text, Label(self.name))
        return Scored(answer, confidence, 10, said, self.confidence_kind)


class SteppingModel:
    """A generator that writes as many letters as its request asks for, one a step.

    A text is that of its prompt, and a step ``takes_s``. ``hold`` makes it wait in a step;
    ``BREAKS`` and ``FAILS`` are texts at which it raises: in a step, or before it begins.
    """

    def __init__(
        self,
        name: str = "writer",
        *,
        at_once: int = 4,
        tokens_at_once: int = 1_000,
        takes_s: float = 0.0,
    ) -> None:
        self.name = name
        self.digest = ""
        self.tasks: frozenset[Task] = frozenset({"generate"})
        self.labels: tuple[str, ...] = ()
        self.at_once = at_once
        self.tokens_at_once = tokens_at_once
        self.begun: list[str] = []
        self.steps: list[list[str]] = []
        self.closed: list[str] = []
        self._takes_s = takes_s
        self._free = threading.Event()
        self._free.set()
        self._inside = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether it waits inside a step, since it was told to hold."""
        return self._inside.is_set()

    def hold(self) -> None:
        """Stay in the next step until released."""
        self._inside.clear()
        self._free.clear()

    def release(self) -> None:
        """Go on."""
        self._free.set()

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request."""
        if request.content == FAILS:
            raise InvalidPrompt("not this one")
        self.begun.append(request.content)
        return _Letters(request, self.closed)

    def step(self, generations: Sequence[Generation]) -> list[Entry | None]:
        """Write a letter of each."""
        letters = [each for each in generations if isinstance(each, _Letters)]
        self.steps.append([each.text for each in letters])
        time.sleep(self._takes_s)
        if not self._free.is_set():
            self._inside.set()
            self._free.wait(timeout=30)
        if any(each.text == BREAKS for each in letters):
            raise RuntimeError("the model broke")
        return [each.write() for each in letters]

    def answer(self, requests: Sequence[Request]) -> list[Entry]:
        """Write all of them."""
        return answer_all(self, requests)

    def close(self) -> None:
        """Nothing is held."""


class _Letters:
    def __init__(self, request: Request, closed: list[str]) -> None:
        self.text = request.content
        self.written = 0
        self.tokens = len(request.content) + int(request.options.get("max_new_tokens", 4))
        self._wanted = int(request.options.get("max_new_tokens", 4))
        self._closed = closed

    def write(self) -> Scored | None:
        self.written += 1
        if self.written < self._wanted:
            return None
        return Scored(Completion(self.text, tokens_out=self.written), 0.5, 10)

    def close(self) -> None:
        self._closed.append(self.text)
