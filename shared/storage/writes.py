"""What waits to be written by a journal's thread, and how those who wait hear what came of it."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    Work = Callable[[sqlite3.Connection], "_Value"]

_Value = TypeVar("_Value")


@dataclass
class Write:
    """A work in the queue, who waits for it, and what became of it."""

    work: Work[Any]
    done: asyncio.Future[Any] | None
    value: Any = None
    error: Exception | None = None
    fold: bool = False

    def run(self, connection: sqlite3.Connection) -> None:
        """Do the work in a savepoint of its own, so that its failure is its own.

        Raises ``sqlite3.Error`` when SQLite has given up the whole transaction, as it may when the
        disk is full: then there is no savepoint any more.
        """
        connection.execute("SAVEPOINT work")
        self.error = None
        try:
            self.value = self.work(connection)
        except Exception as error:  # noqa: BLE001 - it is told to whoever waits
            self.error = error
            connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")


def is_full(error: Exception) -> bool:
    """Say whether there was no room on the disk."""
    return isinstance(error, sqlite3.Error) and "full" in str(error)


def tell(group: Sequence[Write]) -> None:
    """Tell each loop once what became of its works, unless it is closed by now."""
    loops = {entry.done.get_loop() for entry in group if entry.done is not None}
    for loop in loops:
        told = [entry for entry in group if entry.done and entry.done.get_loop() is loop]
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, told)


def _resolve(group: Sequence[Write]) -> None:
    for entry in group:
        if entry.done is None or entry.done.done():
            continue
        if entry.error is not None:
            entry.done.set_exception(entry.error)
        else:
            entry.done.set_result(entry.value)
