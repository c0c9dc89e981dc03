"""Keeps a task running that an agent cannot do without: when it ends, it begins anew.

An exception is not the only end that a task can have: a library may cancel it, and what passes
every ``except Exception`` ends it as well. Nobody waits for such a task, so nobody would notice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

_log = get_logger()
PAUSE_S: Final = 0.5


def logged_if_broken(what: str, **where: str) -> _Logged:
    """Log an exception, and go on behind it."""
    return _Logged(what, where)


class _Logged:
    """A class and no generator: a device enters one for every step of a prompt."""

    __slots__ = ("_what", "_where")

    def __init__(self, what: str, where: dict[str, str]) -> None:
        self._what = what
        self._where = where

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        _log.error("something broke", exc_info=error, what=self._what, **self._where)
        return True


class Supervised:
    """A task that runs until ``stop``, whatever ends it in between."""

    def __init__(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start ``run``, and again a moment after each end."""
        self._name = name
        self._run = run
        self._stopped = False
        self._again: asyncio.TimerHandle | None = None
        self._start()

    async def stop(self) -> None:
        """End the task for good."""
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def _start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._run(), name=self._name)
        self.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._stopped:
            return
        reason = f"{type(error).__name__}: {error}" if error else "it was ended"
        _log.error("a task that is needed ended, and begins anew", task=self._name, reason=reason)
        self._again = task.get_loop().call_later(PAUSE_S, self._start)
