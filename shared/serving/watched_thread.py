"""The one thread that a model runs in, and the watch over it."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")


class WatchedThread:
    """Runs one piece of work after another; one that takes longer than ``limit_s`` hangs.

    Work that says in between that it goes on (``alive``) has the time for each part of it.
    """

    def __init__(self, limit_s: float = math.inf) -> None:
        self.hung = asyncio.Event()
        """Set once the model hangs: only the end of the process helps then."""
        self._limit_s = limit_s
        self._parts = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def run(self, work: Callable[[], _Value]) -> _Value:
        """Return what ``work`` returns; it runs when whatever runs now has ended."""
        loop = asyncio.get_running_loop()
        watch: asyncio.TimerHandle | None = None

        def look(parts: int) -> None:
            nonlocal watch
            if parts == self._parts:
                self.hung.set()
            watch = loop.call_later(self._limit_s, look, self._parts)

        if not math.isinf(self._limit_s):
            watch = loop.call_later(self._limit_s, look, self._parts)
        try:
            return await loop.run_in_executor(self._executor, work)
        finally:
            if watch is not None:
                watch.cancel()

    def alive(self) -> None:
        """Say, in the thread, that the work goes on."""
        self._parts += 1

    def shutdown(self) -> None:
        """End the thread, once it is done."""
        self._executor.shutdown()
