"""A solver that stands before the model's and answers what the memory knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.messages import Scored
from shared.runtimes import TakesExamples

if TYPE_CHECKING:
    from edge_agent.memory.wing import Wing
    from shared.protocol.batch_queue import Queue
    from shared.serving.solver import ModelRunner
    from shared.tasks import Request, Task


class RecallSolver:
    """Answers what the memory knows, and has the model answer the rest, perhaps after examples."""

    def __init__(self, wing: Wing, behind: ModelRunner) -> None:
        self._wing = wing
        self._behind = behind

    @property
    def tasks(self) -> frozenset[Task]:
        """Those of the solver behind."""
        return self._behind.tasks

    async def solve(
        self, request: Request, *, deadline_s: float, priority: int = 0, origin: str = ""
    ) -> Scored:
        """Return the remembered answer, or that of the model, which may raise."""
        model = self._behind.model
        room = model.prompter if isinstance(model, TakesExamples) else None
        found = await self._wing.recall(request, origin, room)
        if isinstance(found, Scored):
            return found
        if found is not None:
            request = msgspec.structs.replace(request, examples=found.assembled.examples)
        scored = await self._behind.solve(
            request, deadline_s=deadline_s, priority=priority, origin=origin
        )
        if found is not None:
            return self._wing.shown(found, scored)
        return msgspec.structs.replace(scored, check=self._wing.drawn())

    def queue_for(self, origin: str) -> Queue:
        """Return what a request that is not known would find."""
        return self._behind.queue_for(origin)
