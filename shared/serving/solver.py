"""What a station asks: whoever turns a request into a scored answer.

The batcher before a model is one. Another may stand before that one and answer what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from shared.cascade.tier import Escalation
    from shared.messages import Result, Scored
    from shared.protocol.batch_queue import Queue
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


Observer: TypeAlias = Callable[["Escalation", "Result"], None]
"""Is told of every prompt that this agent sent up and heard the result of."""
