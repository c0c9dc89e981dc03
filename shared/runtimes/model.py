"""What every model engine offers. No engine is imported here."""

from __future__ import annotations

import math
from typing import (
    TYPE_CHECKING,
    Final,
    Protocol,
    TypeAlias,
    Union,
    runtime_checkable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.errors import PromptError
    from shared.messages import ConfidenceKind, Scored
    from shared.tasks import Exemplar, Request, Task

SHORT_DIGEST: Final = 12

Entry: TypeAlias = Union["Scored", "PromptError"]
"""What became of a request: an answer, or why there is none. ``ModelFailed`` is the model's fault,
and worth another try; any other error is the request's."""


class Model(Protocol):
    """A loaded model that answers requests. It is used from one thread at a time."""

    @property
    def name(self) -> str:
        """Name of the model, for people."""

    @property
    def digest(self) -> str:
        """What tells this model from any other of its name, in hexadecimal; empty if unknown."""

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks that the model answers."""

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Return exactly one entry per request, in order; blocks until all are there.

        One that the model fails on gets an error and leaves its neighbours alone.
        """

    def close(self) -> None:
        """Let go of the engine and its memory; a closed model answers no more."""


@runtime_checkable
class Classifier(Model, Protocol):
    """A model that answers ``classify``."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model can say, in the order of ``Scored.probabilities``."""


class Generation(Protocol):
    """One request that a generator is at work on; it belongs to the thread of its model."""

    @property
    def tokens(self) -> int:
        """Tokens that it holds in memory at most: those of the prompt, and those to be written."""

    @property
    def written(self) -> int:
        """Tokens written so far."""

    def close(self) -> None:
        """Let go of its memory, finished or not; nothing is written any more."""


@runtime_checkable
class Generator(Model, Protocol):
    """A model that answers token by token, any number of requests under way at once.

    Requests do not end together, so whoever drives it lets one join when another has ended
    (``shared.serving.token_rounds``). An engine that is asked over a network fits, too: its step
    waits until something has come.
    """

    @property
    def at_once(self) -> int:
        """Requests under way at once, at most."""

    @property
    def tokens_at_once(self) -> int:
        """Tokens that all requests under way may hold together; one alone may hold more."""

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Take a request, without working on it yet; ``deadline_s`` on the monotonic clock.

        Raises a ``PromptError`` for one that cannot be answered: ``InvalidPrompt`` when that is its
        own fault.
        """

    def step(self, generations: Sequence[Generation]) -> Sequence[Entry | None]:
        """Go on with all of these, by a token each, and return what has ended, in their order.

        The first step of each reads its prompt. One that fails leaves the others alone.
        """


class ExampleRoom(Protocol):
    """How much room a model has for examples, and how much each takes: in its own tokens."""

    def room_for_examples(self, request: Request) -> int:
        """Return the tokens that are left for examples beside a request and its answer."""

    def tokens_of(self, example: Exemplar) -> int:
        """Return the tokens that an example takes."""


@runtime_checkable
class TakesExamples(Model, Protocol):
    """A model that reads ``Request.examples`` before what it is asked."""

    @property
    def prompter(self) -> ExampleRoom:
        """What makes prompts of requests, and may be asked from any thread."""


@runtime_checkable
class Remote(Model, Protocol):
    """A model that a server runs: its answers are waited for in the event loop, many at a time."""

    @property
    def at_once(self) -> int:
        """Requests under way at once, at most."""

    @property
    def certain(self) -> bool:
        """Whether the server tells how sure the model is; else every confidence is 1."""

    async def ask(self, request: Request) -> Scored:
        """Return the answer to one request, after one try; cancelled, it lets go of the server.

        Raises a ``PromptError``: ``ServerAway`` when nothing has begun, ``InvalidPrompt`` when the
        request is at fault, ``ModelFailed`` when the server is.
        """

    async def leave(self) -> None:
        """Let go of the server, in the event loop that asked it."""


@runtime_checkable
class Measured(Protocol):
    """A model of which it is known how sure it is as a rule."""

    @property
    def expected(self) -> Mapping[Task, Sequence[float]]:
        """Quantiles of its confidences at equal steps, ascending, by task."""


@runtime_checkable
class Routed(Protocol):
    """A model that says what its confidences are."""

    @property
    def confidence_kind(self) -> ConfidenceKind:
        """What ``Scored.confidence`` is of the model's own task.

        Of labels that come with a request it is always the largest probability.
        """


@runtime_checkable
class Placed(Protocol):
    """A model that says what it runs on."""

    @property
    def device(self) -> str:
        """``cpu``, ``cuda`` or another name of PyTorch's, with a number where there are several."""


def confidence_kind_of(model: Model) -> ConfidenceKind:
    """Return what a model's confidences are; the largest probability unless it says otherwise."""
    return model.confidence_kind if isinstance(model, Routed) else "max_probability"


def expected_of(model: Model) -> Mapping[Task, Sequence[float]]:
    """Return the quantiles of a model's confidences as far as they are known."""
    return model.expected if isinstance(model, Measured) else {}


def labels_of(model: Model) -> tuple[str, ...]:
    """Return what a model can say if that is one of a few labels; nothing for any other model."""
    return model.labels if isinstance(model, Classifier) else ()


def short_digest(model: Model) -> str:
    """Return as much of a model's digest as people need; empty if it has none."""
    return model.digest[:SHORT_DIGEST]
