"""When the clock of a delivery is looked at next."""

from __future__ import annotations

import asyncio
import math
import time


class Alarm:
    """Sleeps until a time, or until there is something new to look at."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._until_s = math.inf

    def wake(self) -> None:
        """End the sleep now."""
        self._woken.set()

    def wake_before(self, time_s: float) -> None:
        """End the sleep now if it would last beyond this time."""
        if time_s < self._until_s:
            self._woken.set()

    async def until(self, time_s: float | None) -> None:
        """Return at a time of the monotonic clock, or when woken; with none only then."""
        loop = asyncio.get_running_loop()
        self._woken.clear()
        self._until_s = math.inf if time_s is None else time_s
        # A timer, since `wait_for` may swallow a cancellation before Python 3.12.
        timer = loop.call_later(time_s - time.monotonic(), self.wake) if time_s else None
        try:
            await self._woken.wait()
        finally:
            if timer is not None:
                timer.cancel()
