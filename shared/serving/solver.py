"""What a station asks: whoever turns a request into a scored answer.

Whoever runs a model is one (``ModelRunner``): the batcher, or the caller for a model that a server
runs. Another may stand before that one and answer what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import asyncio

    from shared.cascade.tier import Escalation
    from shared.messages import Prompt, Result, Scored
    from shared.protocol.batch_queue import Queue
    from shared.runtimes import Model
    from shared.tasks import Request, Task


class Solver(Protocol):
    """Answers requests one at a time, any number of them under way at once."""

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks that are answered."""

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        """Return the answer to one request; of those that wait, a higher ``priority`` goes first.

        Raises a ``PromptError`` when there is none by ``deadline_s``, on the monotonic clock.
        """

    def queue_for(self, origin: str) -> Queue:
        """Return what a request of this origin would find that came now."""


class ModelRunner(Solver, Protocol):
    """A solver with a model of its own, on which an agent is built."""

    model: Model
    hung: asyncio.Event
    """Set once only the end of the process helps."""

    @property
    def waiting(self) -> int:
        """How many prompts wait or are being answered."""

    @property
    def wait_s(self) -> float:
        """How long all that waits will take."""

    @property
    def service_s(self) -> float:
        """How long one more prompt takes."""

    def start(self) -> None:
        """Begin to serve."""

    def exchange(self, model: Model) -> None:
        """Have another model answer from now on, and return when it does; from another thread.

        Raises ``Stopping`` when this is closed, and ``BundleError`` for a model of another kind.
        """

    async def close(self) -> None:
        """Turn away what waits, and stop."""


Witness: TypeAlias = Callable[["Prompt", "Result | Escalation"], None]
"""Is told of every prompt that this agent judged, and what was decided of it."""
Observer: TypeAlias = Callable[["Escalation", "Result"], None]
"""Is told of every prompt that this agent sent up and heard the result of."""
