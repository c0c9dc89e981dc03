"""Asks again, once somebody above is there, what was answered without them.

One answer from above brings the next question out, so that nobody is flooded who has just come
back.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from edge_agent.memory.open_questions import OpenQuestions
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.agent.build import AgentParts
    from shared.cascade.tier import Escalation

_log = get_logger()


class AskingAgain:
    """What waits to be asked again, and the agent that asks."""

    def __init__(self) -> None:
        self.waiting = OpenQuestions()
        self._parts: AgentParts | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def join(self, parts: AgentParts) -> None:
        """Ask as this agent, and begin whenever an agent above appears."""
        self._parts = parts
        parts.station.above.on_agent(self.go_on)

    def go_on(self) -> None:
        """Ask the next question, if one waits."""
        if self._parts is None or self._parts.service is None:
            return
        escalation = self.waiting.next(self._parts.station.agent, time.monotonic())
        if escalation is not None:
            asking = asyncio.ensure_future(self._parts.service.ask_again(escalation))
            self._under_way.add(asking)
            asking.add_done_callback(lambda done: self._ended(done, escalation))

    def _ended(self, asking: asyncio.Task[None], escalation: Escalation) -> None:
        self._under_way.discard(asking)
        if not asking.cancelled() and (error := asking.exception()) is not None:
            self.waiting.note(escalation)
            _log.warning("not asked again yet", reason=str(error))
