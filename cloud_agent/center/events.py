"""What happened in the fleet, in order, and who waits to hear of it. Bounded: old events go."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEPT: Final = 2_000


class CenterEvent(msgspec.Struct, frozen=True):
    """One event: a number that grows, what kind it is, of which agent, and what it says."""

    number: int
    kind: str
    agent: str
    data: dict[str, Any]
    at: float


class EventLog:
    """The last events, and a wait for the next."""

    def __init__(self, kept: int = KEPT) -> None:
        self._events: deque[CenterEvent] = deque(maxlen=kept)
        self._number = 0
        self._more = asyncio.Event()
        self._closed = False

    def add(self, kind: str, agent: str, data: dict[str, Any], at: float) -> None:
        """Put an event at the end."""
        self._number += 1
        self._events.append(CenterEvent(self._number, kind, agent, data, at))
        self._more.set()
        self._more = asyncio.Event()

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._number

    def after(self, number: int) -> list[CenterEvent]:
        """Return the events after a number that are still there, oldest first."""
        if number > self._number:  # of a centre that ran before this one
            number = 0
        return [event for event in self._events if event.number > number]

    def close(self) -> None:
        """Let everybody who follows go."""
        self._closed = True
        self._more.set()

    async def follow(self, number: int, idle_s: float) -> AsyncIterator[list[CenterEvent]]:
        """Yield what comes after a number, as it comes; nothing at all after ``idle_s`` of it."""
        while not self._closed:
            more = self._more
            events = self.after(number)
            if not events:
                try:
                    await asyncio.wait_for(more.wait(), idle_s)
                except asyncio.TimeoutError:
                    yield []
                continue
            number = events[-1].number
            yield events
