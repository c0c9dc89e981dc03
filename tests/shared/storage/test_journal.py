"""What is written to a journal, in which order, and what its writers hear."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Literal

import pytest

from shared.errors import StoreError
from shared.storage.journal import Journal
from tests.support.journals import MEGABYTE, SCHEMA, delete, insert, keys, modes, opened

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


async def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    journal = opened(tmp_path / "notes.sqlite")
    assert await journal.write(insert(7)) == 7
    await journal.close()

    again = opened(tmp_path / "notes.sqlite")

    assert again.read_now(keys) == [7]
    await again.close()


async def test_a_closed_journal_leaves_one_file(tmp_path: Path) -> None:
    journal = opened(tmp_path / "notes.sqlite")
    await journal.write(insert(1))

    await journal.close()

    assert list(modes(tmp_path)) == ["notes.sqlite"]


async def test_works_that_wait_together_share_commits(tmp_path: Path) -> None:
    journal = opened(tmp_path / "notes.sqlite")

    written = await asyncio.gather(*(journal.write(insert(key)) for key in range(500)))

    assert written == list(range(500))
    assert journal.read_now(keys) == list(range(500))
    assert journal.commits <= 50
    await journal.close()


async def test_works_are_done_in_the_order_in_which_they_came() -> None:
    journal = opened(None)
    for key in range(100):
        journal.write_later(insert(key))
        journal.write_later(delete(key))

    await journal.write(insert(0))

    assert journal.read_now(keys) == [0]
    await journal.close()


async def test_a_work_that_fails_harms_no_other_in_its_group() -> None:
    journal = opened(None)

    def half(connection: sqlite3.Connection) -> None:
        insert(2)(connection)
        raise ValueError("not this one")

    first, broken, twice, last = await asyncio.gather(
        journal.write(insert(1)),
        journal.write(half),
        journal.write(insert(1)),
        journal.write(insert(3)),
        return_exceptions=True,
    )

    assert (first, last) == (1, 3)
    assert isinstance(broken, ValueError)
    assert isinstance(twice, StoreError)
    assert "UNIQUE" in str(twice)
    assert journal.read_now(keys) == [1, 3]
    await journal.close()


async def test_a_work_that_ends_the_transaction_harms_no_other_either() -> None:
    journal = opened(None)

    first, rude, last = await asyncio.gather(
        journal.write(insert(1)),
        journal.write(lambda connection: connection.execute("ROLLBACK")),
        journal.write(insert(3)),
        return_exceptions=True,
    )

    assert (first, last) == (1, 3)
    assert isinstance(rude, StoreError)
    assert journal.read_now(keys) == [1, 3]
    await journal.close()


@pytest.mark.parametrize(("synchronous", "number"), [("FULL", 2), ("NORMAL", 1)])
async def test_commits_are_synced_as_told(
    tmp_path: Path, synchronous: Literal["FULL", "NORMAL"], number: int
) -> None:
    path = tmp_path / "notes.sqlite"
    journal = Journal.open(path, SCHEMA, synchronous=synchronous, limit_bytes=MEGABYTE)

    def pragma(name: str) -> object:
        return journal.read_now(lambda file: file.execute(f"PRAGMA {name}").fetchone()[0])

    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", number)
    await journal.close()


async def test_the_loop_runs_on_while_the_disk_works() -> None:
    journal = opened(None)
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> bool:
        begun.set()
        return go_on.wait(10)

    writing = asyncio.ensure_future(journal.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    go_on.set()  # by the loop, which would not get here if it waited for the work

    assert await writing
    await journal.close()


async def test_a_cancelled_writer_does_not_undo_its_work() -> None:
    journal = opened(None)
    writing = asyncio.ensure_future(journal.write(insert(1)))
    await asyncio.sleep(0)

    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await journal.write(insert(2))

    assert journal.read_now(keys) == [1, 2]
    await journal.close()


def test_a_loop_that_ends_while_works_wait_is_no_error() -> None:
    journal = opened(None)
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(10)
        insert(1)(connection)

    async def leave() -> None:
        asyncio.ensure_future(journal.write(slow))  # noqa: RUF006 - nobody waits for it
        await asyncio.to_thread(begun.wait, 10)

    asyncio.run(leave())
    go_on.set()
    asyncio.run(journal.close())  # an exception in the thread would fail the test

    assert not journal._thread.is_alive()


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    journal = opened(tmp_path / "notes.sqlite")
    for key in range(300):
        journal.write_later(insert(key))

    await journal.close()
    await journal.close()

    again = opened(tmp_path / "notes.sqlite")
    assert again.read_now(keys) == list(range(300))
    await again.close()


async def test_a_closed_journal_says_so() -> None:
    journal = opened(None)
    await journal.close()

    journal.write_later(insert(1))
    with pytest.raises(StoreError, match="is closed"):
        await journal.write(insert(1))
