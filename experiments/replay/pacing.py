"""When each prompt goes out: open loop on an absolute clock, or closed loop.

Open loop: every prompt has an intended time, counted from one origin, and goes out then, whether or
not earlier ones were answered. Nothing is summed up, so nothing drifts; a generator that falls
behind sends what is due at once, and how late it was shows in every record. Closed loop: a fixed
number is under way, and a prompt is intended for the moment when there is room for it.

What is sent, and what becomes of it, is the business of ``experiments.replay.load_generator``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

DUE_AT_ONCE: Final = 16
"""So many that are due go out before the event loop is given a turn."""


class Clock(Protocol):
    """Time that only goes forward, and sleep that ends at a time."""

    def now_s(self) -> float:
        """Return the time in seconds."""

    async def sleep_until(self, at_s: float) -> None:
        """Return at ``at_s``, or after one turn of the event loop when that is past."""


class LoopClock:
    """The running event loop's own clock, set so that it reads ``start_s`` when it is made."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time() - start_s

    def now_s(self) -> float:
        """Return the seconds since the origin."""
        return self._loop.time() - self._zero_s

    async def sleep_until(self, at_s: float) -> None:
        """Sleep until an absolute time; an earlier one costs one turn of the loop."""
        await asyncio.sleep(max(0.0, at_s - self.now_s()))


async def open_loop(times_s: Sequence[float], clock: Clock) -> AsyncIterator[tuple[int, float]]:
    """Yield (index, intended time) when each is due; ``times_s`` ascend on the clock's axis."""
    overdue = 0
    for index, at_s in enumerate(times_s):
        if at_s > clock.now_s():
            overdue = 0
            await clock.sleep_until(at_s)
        else:
            overdue += 1
            if overdue % DUE_AT_ONCE == 0:
                await clock.sleep_until(at_s)
        yield index, at_s


async def closed_loop(
    prompts: int, room: asyncio.Semaphore, clock: Clock
) -> AsyncIterator[tuple[int, float]]:
    """Yield (index, time at which there was room for it); whoever sends it releases ``room``."""
    for index in range(prompts):
        await room.acquire()
        yield index, clock.now_s()
