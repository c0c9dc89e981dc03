"""Opens the SQLite file of a journal: for its owner alone, bounded, checked, and of this schema.

A file that fails its check, or that another version of the program wrote, is moved aside and
reported, so that an agent always starts; nothing is ever deleted here.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal

from shared.errors import SettingsError, StoreError
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from pathlib import Path

Synchronous = Literal["FULL", "NORMAL"]
"""FULL: a commit outlives a power cut. NORMAL: it outlives the process."""

PAGE_BYTES: Final = 1024
"""A commit writes whole pages: small ones spare the flash of a Pi, and are quicker here too."""
_LOG_BYTES: Final = 512 << 10
"""The log is folded into the file at this size, or at a quarter of the room on a small disk: when
the log has filled a disk, there is no room left to fold it."""
_LEAST_LOG_BYTES: Final = 16 << 10
_BUSY_S: Final = 5.0
_SURROUNDINGS: Final = ("unable to open", "locked", "full")
"""Errors that say nothing against the file itself."""

_log = get_logger()


class _Unfit(Exception):
    """The file is no sound file of this schema."""


def open_own(
    path: Path | None,
    schema: str,
    *,
    synchronous: Synchronous,
    limit_bytes: int,
    erase: bool = False,
) -> sqlite3.Connection:
    """Return a connection to the file, made if missing; None is a file in memory.

    With ``erase`` what is deleted is overwritten, too, so that no page of the file still has it.
    Beside the file, its log takes some 512 KiB more, less on a small disk. Raises ``SettingsError``
    when the folder will not have the file.
    """
    pages = max(limit_bytes // PAGE_BYTES, 1)
    if path is None:
        return _prepared(":memory:", schema, synchronous, pages, erase)
    try:
        _create(path)
        try:
            return _prepared(str(path), schema, synchronous, pages, erase)
        except (_Unfit, sqlite3.DatabaseError, UnicodeDecodeError) as fault:
            if any(words in str(fault) for words in _SURROUNDINGS):
                raise
            _move_aside(path, fault)
            _create(path)
            return _prepared(str(path), schema, synchronous, pages, erase)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be opened ({error.strerror})") from error
    except sqlite3.Error as error:
        raise SettingsError(f"{path}: cannot be opened ({error})") from error


def open_existing(path: Path, schema: str) -> sqlite3.Connection:
    """Return a connection to a file that a running agent may hold; nothing is made or repaired.

    Raises ``StoreError`` when it is not there or not of this schema.
    """
    if not path.exists():
        raise StoreError(f"{path}: there is no such file; has the agent run with this folder?")
    try:
        connection = _connect(str(path))
        try:
            _fit(connection, schema)
        except BaseException:
            connection.close()
            raise
    except (_Unfit, sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error})") from error
    return connection


def log_exists(name: str) -> bool:
    """Say whether the log of an open file is where the next run would look for it."""
    return os.path.exists(f"{name}-wal")  # noqa: PTH110 - asked with each commit


def _create(path: Path) -> None:
    """Make the file for us alone; SQLite gives those that it puts beside it the same rights."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _connect(name: str) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _prepared(
    name: str, schema: str, synchronous: Synchronous, pages: int, erase: bool
) -> sqlite3.Connection:
    connection = _connect(name)
    log_bytes = _log_bytes(name)
    try:
        for setting in (
            "trusted_schema = OFF",
            "cell_size_check = ON",
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            f"journal_size_limit = {log_bytes}",
            f"wal_autocheckpoint = {log_bytes // PAGE_BYTES}",
            f"synchronous = {synchronous}",
            f"max_page_count = {pages}",
            f"secure_delete = {'ON' if erase else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {setting}").fetchall()
        if not _get(connection, "SELECT count(*) FROM sqlite_master"):
            version = _version(schema)
            connection.executescript(f"BEGIN; {schema}; PRAGMA user_version = {version}; COMMIT;")
        _fit(connection, schema)
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _log_bytes(name: str) -> int:
    """Return how long the log of a file may get."""
    if name == ":memory:":
        return _LOG_BYTES
    disk = os.statvfs(name)
    return max(_LEAST_LOG_BYTES, min(_LOG_BYTES, disk.f_bavail * disk.f_frsize // 4))


def _fit(connection: sqlite3.Connection, schema: str) -> None:
    if _get(connection, "PRAGMA user_version") != _version(schema):
        raise _Unfit("written by another version of this program")


def _check(connection: sqlite3.Connection) -> None:
    found = _get(connection, "PRAGMA integrity_check(1)")
    if found != "ok":
        raise _Unfit(found)


def _version(schema: str) -> int:
    """Return the number of a schema: made from its text, so that no change can be forgotten."""
    return zlib.crc32(schema.encode()) & 0x7FFF_FFFF


def _get(connection: sqlite3.Connection, query: str) -> object:
    value: object = connection.execute(query).fetchone()[0]
    return value


def _move_aside(path: Path, fault: Exception) -> None:
    """Rename the file with what SQLite keeps beside it, and say so."""
    now = datetime.now(timezone.utc)
    aside = path.with_name(f"{path.name}.broken-{now:%Y%m%dT%H%M%S.%fZ}")
    for ending in ("-wal", "-shm", ""):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + ending))
    _log.warning("stored file moved aside", file=str(path), aside=str(aside), reason=str(fault))
