"""A solver that stands before the model's and answers what the memory knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.memory.wing import Wing
    from shared.messages import Scored
    from shared.protocol.batch_queue import Queue
    from shared.serving.solver import Solver
    from shared.tasks import Request, Task


class RecallSolver:
    """Answers what the memory knows, and has another solver answer the rest."""

    def __init__(self, wing: Wing, behind: Solver) -> None:
        self._wing = wing
        self._behind = behind

    @property
    def tasks(self) -> frozenset[Task]:
        """Those of the solver behind."""
        return self._behind.tasks

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        """Return the remembered answer, or that of the solver behind, which may raise."""
        scored = await self._wing.recall(request, origin)
        if scored is not None:
            return scored
        return await self._behind.solve(
            request, deadline_s=deadline_s, priority=priority, origin=origin
        )

    def queue_for(self, origin: str) -> Queue:
        """Return what a request that is not known would find."""
        return self._behind.queue_for(origin)
