"""One SQLite file, written by one thread in groups: what must outlive the process.

Whatever is asked of it while one commit is on its way to the disk shares the next: with many
askers a prompt costs a fraction of a sync. The event loop never waits for the disk. A disk that is
full, fails or stands still costs what was to be written meanwhile, and nobody's time; everything
goes on by itself once it works again.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.errors import SettingsError, StoreError, StoreFull
from shared.storage.sqlite_file import log_exists, open_existing, open_own
from shared.storage.writes import Write, is_full, tell
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shared.storage.sqlite_file import Synchronous
    from shared.storage.writes import Work

_Value = TypeVar("_Value")
_GROUP_WORKS: Final = 1_000
_STANDS_S: Final = 3.0
"""A commit that takes longer: the disk stands still, and what comes now is not to wait for it."""
_CLOSING_S: Final = 5.0

_log = get_logger()


class Journal:
    """A file and the thread that writes it.

    A *work* is a function of the connection that reads or changes rows and does nothing else: it
    may run twice before it is committed once. Works are done in the order in which they came.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        reopen: Callable[[], sqlite3.Connection] | None = None,
    ) -> None:
        self.commits = 0
        """Transactions committed so far."""
        self._connection = connection
        self._name = name
        self._reopen = reopen
        self._closed = False
        self._full = False
        self._begun_s: float | None = None
        self._in_use = threading.Lock()
        self._waiting: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"journal {name}", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        path: Path | None,
        schema: str,
        *,
        synchronous: Synchronous,
        limit_bytes: int,
        erase: bool = False,
    ) -> Journal:
        """Open the file at ``path``, or one in memory if None, with the tables of ``schema``.

        With ``erase`` what is deleted is overwritten, and is in the log no more after ``settle``.
        A broken file, or one of another schema, is moved aside and reported. Raises
        ``SettingsError`` when the folder is missing or cannot be written.
        """

        def open_file() -> sqlite3.Connection:
            return open_own(
                path, schema, synchronous=synchronous, limit_bytes=limit_bytes, erase=erase
            )

        if path is None:
            return cls(open_file(), "the store in memory")
        return cls(open_file(), str(path), open_file)

    @classmethod
    def join(cls, path: Path, schema: str) -> Journal:
        """Open a file that another process may be writing. Raises ``StoreError``."""
        return cls(open_existing(path, schema), str(path))

    @property
    def stands_still(self) -> bool:
        """Whether the disk has been at one commit for longer than any disk should."""
        begun_s = self._begun_s
        return begun_s is not None and time.monotonic() - begun_s > _STANDS_S

    async def write(self, work: Work[_Value], limit_s: float | None = None) -> _Value:
        """Return what ``work`` returned, once it is committed.

        Raises ``StoreFull`` or ``StoreError``, or what ``work`` raised; nothing of it is kept
        then. When the caller is cancelled, or ``limit_s`` passes, which raises ``StoreError``, the
        work is done all the same. A disk that is known to stand still is not waited for.
        """
        value: _Value = await self._wait_for(Write(work, None), limit_s)
        return value

    def write_later(self, work: Work[object]) -> None:
        """Do ``work`` with the next group; nobody waits for it.

        While the disk is full, it is tried again with each group. After ``close`` it is dropped.
        """
        if not self._closed:
            self._waiting.put(Write(work, None))

    async def settle(self) -> None:
        """Return once all that was asked before is committed, and the log folded into the file.

        Raises what ``write`` raises.
        """
        await self._wait_for(Write(lambda _: None, None, fold=True))

    def read_later(self, work: Work[_Value]) -> _Value:
        """Return what ``work`` reads after all that was asked before; for a thread that may wait.

        Raises ``StoreError``.
        """
        if not self._closed:
            reached = threading.Event()
            self._waiting.put(Write(lambda _: reached.set(), None))
            if not reached.wait(_CLOSING_S):
                raise self._standing()
        return self.read_now(work)

    def read_now(self, work: Work[_Value]) -> _Value:
        """Return what ``work`` reads, and wait for it: for the start, before anything is served.

        Raises ``StoreError``.
        """
        with self._in_use:
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                raise self._translated(error) from error

    async def close(self) -> None:
        """Write what waits, fold the log into the file and close it. May be called again.

        A disk that stands still is left to itself: what is committed is in the file or its log.
        """
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSING_S)
        if self._thread.is_alive():
            _log.warning("not closed: its disk stands still", file=self._name)

    async def _wait_for(self, write: Write, limit_s: float | None = None) -> Any:
        if self._closed:
            raise StoreError(f"{self._name} is closed")
        if self.stands_still:
            raise self._standing()
        write.done = done = asyncio.get_running_loop().create_future()
        self._waiting.put(write)
        if limit_s is None:
            return await done
        limit = done.get_loop().call_later(limit_s, self._give_up, done)
        try:
            return await done
        finally:
            limit.cancel()

    def _give_up(self, done: asyncio.Future[Any]) -> None:
        if not done.done():
            done.set_exception(self._standing())

    def _standing(self) -> StoreError:
        return StoreError(f"{self._name}: its disk stands still")

    # -- in the thread -------------------------------------------------------------------------

    def _serve(self) -> None:
        """Commit group after group, until the end of the queue."""
        again: list[Write] = []
        going_on = True
        while going_on:
            came, going_on = self._take()
            group = [*again, *came]
            self._begun_s = time.monotonic()
            with self._in_use:
                self._save_log()
                self._commit(group)
                if any(entry.fold for entry in group):
                    self._fold()
            self._begun_s = None
            tell([entry for entry in group if entry.done is not None])
            again = [entry for entry in group if self._wants_again(entry)]
            self._say_whether_full(again)
        with self._in_use:
            if not self._fold():
                _log.warning("log not folded into its file", file=self._name)
            self._connection.close()

    def _save_log(self) -> None:
        """Bring what is in the log home, and begin another, if somebody has deleted the log."""
        if self._reopen is None or log_exists(self._name):
            return
        if self._fold():
            _log.warning("its log was deleted, and is begun anew", file=self._name)
            with contextlib.suppress(sqlite3.Error, SettingsError):
                connection = self._reopen()
                self._connection.close()
                self._connection = connection

    def _take(self) -> tuple[list[Write], bool]:
        """Return what waits, at least one entry, and whether more may come."""
        group: list[Write] = []
        entry = self._waiting.get()
        while entry is not None:
            group.append(entry)
            if len(group) == _GROUP_WORKS or self._waiting.empty():
                return group, True
            entry = self._waiting.get()
        return group, False

    def _commit(self, group: Sequence[Write]) -> None:
        """Do a group in one transaction; if that cannot be committed, each in one of its own.

        A full disk is given a second try once the log is folded: that empties it.
        """
        error = self._transact(group)
        if error is not None and is_full(error) and self._fold():
            error = self._transact(group)
        if error is not None and len(group) == 1:
            group[0].error = group[0].error or error
        elif error is not None:
            for entry in group:
                entry.error = self._transact([entry]) or entry.error
        for entry in group:
            if isinstance(entry.error, sqlite3.Error):
                entry.error = self._translated(entry.error)

    def _transact(self, group: Sequence[Write]) -> Exception | None:
        """Commit a group, and return what kept it from that; nothing of it is kept then."""
        if not group:
            return None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for entry in group:
                entry.run(self._connection)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread must live, whatever happens
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            return error
        self.commits += 1
        return None

    def _wants_again(self, entry: Write) -> bool:
        if entry.done is not None or entry.error is None:
            return False
        if isinstance(entry.error, StoreFull):
            return True
        _log.warning("write failed", file=self._name, reason=str(entry.error))
        return False

    def _say_whether_full(self, waiting: Sequence[Write]) -> None:
        """Say once that changes wait for room on the disk, and once that they wait no more."""
        if bool(waiting) == self._full:
            return
        self._full = bool(waiting)
        if waiting:
            _log.warning(
                "changes wait for room on the disk", file=self._name, reason=str(waiting[0].error)
            )
        else:
            _log.info("what waited for room on the disk is written", file=self._name)

    def _fold(self) -> bool:
        """Move the log into the file, and say whether that went; else it stays, nothing is lost."""
        try:
            ((busy, _, _),) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error:
            return False
        return not busy

    def _translated(self, error: sqlite3.Error) -> StoreError:
        if is_full(error):
            return StoreFull(f"{self._name}: {error}; make room on the disk, or raise its limit")
        return StoreError(f"{self._name}: {error}")
