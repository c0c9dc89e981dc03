"""The answers of one model, kept on disk as their task writes them: an SQLite file for each model.

A file is open to one process at a time; what a killed one had appended is there. One that is
damaged, or of another model, is put aside with a line in the log, and its prompts are answered
again.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from shared import tasks
from shared.errors import DataError
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from shared.tasks import Answer, Options, Task

_FORM: Final = 2
_KEY_BYTES: Final = 16
_SCHEMA: Final = """
CREATE TABLE model (fingerprint TEXT NOT NULL, task TEXT NOT NULL);
CREATE TABLE answers (
    prompt BLOB PRIMARY KEY, answer TEXT NOT NULL, confidence REAL NOT NULL,
    elapsed_us INTEGER NOT NULL, probabilities BLOB NOT NULL
) WITHOUT ROWID;
"""

_log = get_logger()


class Kept(NamedTuple):
    """What is kept of a scored answer; ``probabilities`` are a classifier's."""

    answer: Answer
    confidence: float
    elapsed_us: int
    probabilities: tuple[float, ...] = ()


def prompt_key(text: str, options: Options | None = None) -> bytes:
    """Return the hash that stands for a prompt: BLAKE2b over its UTF-8 bytes, 16 bytes long.

    Where there are options they are hashed, too: as JSON, behind a byte of 0.
    """
    hashed = blake2b(text.encode(), digest_size=_KEY_BYTES)
    if options:
        hashed.update(b"\0" + msgspec.json.encode(options, order="sorted"))
    return hashed.digest()


@contextmanager
def open_store(folder: Path, fingerprint: str, *, task: Task = "classify") -> Iterator[AnswerStore]:
    """Open the kept answers of the model with this fingerprint (64 hexadecimal digits) to a task.

    Raises ``DataError`` when the folder cannot be used or another process has the file open.
    """
    path = folder / f"{fingerprint[:32]}.answers.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection, answers = _open(path, fingerprint, task)
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"{path}: cannot be used ({error}); choose another folder") from error
    try:
        yield AnswerStore(path, connection, task, answers)
    finally:
        connection.close()


class AnswerStore:
    """The kept answers of one model, in an open file that nobody else reads or writes."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, task: Task, answers: dict[bytes, Kept]
    ) -> None:
        self.path = path
        self._connection = connection
        self._task = task
        self._answers = answers

    @property
    def answers(self) -> Mapping[bytes, Kept]:
        """The answers by ``prompt_key``."""
        return self._answers

    def append(self, answers: Iterable[tuple[bytes, Kept]]) -> None:
        """Add answers to the file in one transaction, and then to ``answers``.

        Raises ``DataError`` when the disk will not have them.
        """
        added = dict(answers)
        try:
            with self._connection:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
                    ((key, *_row(kept)) for key, kept in added.items()),
                )
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: cannot be written ({error}); make room") from error
        self._answers.update(added)


def _open(path: Path, fingerprint: str, task: Task) -> tuple[sqlite3.Connection, dict[bytes, Kept]]:
    """Return the open file and what it holds; one that is not this model's is put aside."""
    connection = _connect(path)
    try:
        return connection, _read(connection, fingerprint, task)
    except (sqlite3.DatabaseError, msgspec.MsgspecError, KeyError, ValueError) as error:
        connection.close()
        aside = path.with_name(f"{path.name}.aside")
        path.replace(aside)
        _log.warning("kept answers are put aside", file=str(aside), reason=str(error))
    connection = _connect(path)
    return connection, _read(connection, fingerprint, task)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file for us alone. Raises ``DataError`` where another process has it."""
    connection = sqlite3.connect(path, timeout=0.2, isolation_level="IMMEDIATE")
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # no wait for the disk at each chunk
        connection.execute("BEGIN EXCLUSIVE")
        connection.commit()
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            raise DataError(f"{path}: another process is filling it; wait for it to end") from None
        raise
    except sqlite3.DatabaseError:  # no database: found out again, and put aside
        pass
    return connection


def _read(connection: sqlite3.Connection, fingerprint: str, task: Task) -> dict[bytes, Kept]:
    """Return all answers. Raises ``ValueError`` when the file is another model's, or damaged."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        with connection:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORM}; COMMIT")
            connection.execute("INSERT INTO model VALUES (?, ?)", (fingerprint, task))
    (damage,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if damage != "ok":
        raise ValueError(damage)
    if connection.execute("SELECT * FROM model").fetchall() != [(fingerprint, task)]:
        raise ValueError("the file is of another model, or of another task")
    rows = connection.execute("SELECT * FROM answers")
    return {prompt: _kept(task, *columns) for prompt, *columns in rows}


def _row(kept: Kept) -> tuple[str, float, int, bytes]:
    answer = msgspec.json.encode(tasks.to_json(kept.answer)).decode()
    packed = struct.pack(f"<{len(kept.probabilities)}d", *kept.probabilities)
    return answer, kept.confidence, kept.elapsed_us, packed


def _kept(task: Task, answer: str, confidence: float, elapsed_us: int, packed: bytes) -> Kept:
    said = tasks.from_json(task, msgspec.json.decode(answer))
    return Kept(said, confidence, elapsed_us, struct.unpack(f"<{len(packed) // 8}d", packed))
