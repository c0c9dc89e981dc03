from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Literal

import pytest
from structlog.testing import capture_logs

from shared.errors import SettingsError, StoreError, StoreFull
from shared.storage.journal import Journal
from tests.support.small_disk import fill, small_disk

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
MEGABYTE = 1 << 20
JOINER = """
import asyncio, sys
from pathlib import Path
from shared.storage.journal import Journal

async def main():
    journal = Journal.join(Path(sys.argv[1]), sys.argv[2])
    await journal.write(lambda connection: connection.execute("UPDATE notes SET id = id + 1"))
    await journal.close()

asyncio.run(main())
"""


def opened(path: Path | None, *, schema: str = SCHEMA, limit_bytes: int = MEGABYTE) -> Journal:
    return Journal.open(path, schema, synchronous="FULL", limit_bytes=limit_bytes)


def insert(key: int, text: str = "a note") -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (key, text))
        return key

    return work


def delete(key: int) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("DELETE FROM notes WHERE id = ?", (key,))


def keys(connection: sqlite3.Connection) -> list[int]:
    return [key for (key,) in connection.execute("SELECT id FROM notes ORDER BY id")]


async def written_until_full(journal: Journal, numbers: range) -> int:
    """Insert notes until there is no room, and return the key of the one that was refused."""
    key = numbers.start
    with contextlib.suppress(StoreFull):
        for key in numbers:
            await journal.write(insert(key, "x" * 400))
    assert key < numbers[-1], "there was room for all of them"
    return key


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of the files in a folder."""
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


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


async def test_a_full_file_says_so_and_can_be_emptied(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    journal = opened(path, limit_bytes=64 << 10)

    written = await written_until_full(journal, range(1_000))
    with pytest.raises(StoreFull, match=r"notes\.sqlite: .* is full; make room"):
        await journal.write(insert(written, "x" * 400))
    for key in range(written):
        journal.write_later(delete(key))
    await journal.write(insert(written, "x" * 400))

    assert 32 << 10 < written * 400 < 64 << 10
    assert path.stat().st_size <= 64 << 10
    assert journal.read_now(keys) == [written]
    await journal.close()


async def test_on_a_full_disk_exactly_what_was_told_is_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=512) as disk:
        journal = opened(disk / "notes.sqlite", limit_bytes=64 * MEGABYTE)

        told = await asyncio.gather(
            *(journal.write(insert(key, "x" * 2_000)) for key in range(600)),
            return_exceptions=True,
        )

        assert any(isinstance(each, StoreFull) for each in told)
        kept = [each for each in told if isinstance(each, int)]
        assert kept
        assert journal.read_now(keys) == kept
        assert all(isinstance(each, int | StoreError) for each in told)
        await journal.close()
        again = opened(disk / "notes.sqlite")
        assert again.read_now(keys) == kept
        await again.close()


async def test_what_nobody_waits_for_is_written_once_the_disk_has_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=512) as disk:
        journal = opened(disk / "notes.sqlite")
        await journal.write(insert(1))
        ballast = fill(disk)
        await written_until_full(journal, range(2, 9_000))
        journal.write_later(insert(9_999, "x" * 60_000))
        with pytest.raises(StoreFull):
            await journal.write(insert(10_000, "x" * 60_000))
        ballast.unlink()
        await journal.write(insert(10_001))

        assert journal.read_now(keys)[-2:] == [9_999, 10_001]
        await journal.close()


@pytest.mark.parametrize("damage", ["text", "truncated", "empty page", "other schema"])
async def test_a_broken_file_is_moved_aside_and_reported(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "notes.sqlite"
    schema = "CREATE TABLE others (id INTEGER)" if damage == "other schema" else SCHEMA
    journal = opened(path, schema=schema)
    if damage != "other schema":
        await asyncio.gather(*(journal.write(insert(key, "x" * 900)) for key in range(50)))
    await journal.close()
    whole = path.read_bytes()
    if damage == "text":
        path.write_text("these are not the notes that you look for\n" * 100)
    elif damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty page":
        path.write_bytes(whole[:1024] + bytes(1024) + whole[2048:])
    broken = path.read_bytes()

    with capture_logs() as logs:
        again = opened(path)

    assert again.read_now(keys) == []
    (log,) = logs
    (aside,) = (tmp_path / name for name in modes(tmp_path) if "broken" in name)
    assert (log["log_level"], log["file"], log["aside"]) == ("warning", str(path), str(aside))
    assert aside.read_bytes() == broken or damage == "other schema"
    await again.write(insert(1))
    await again.close()


async def test_no_damage_whatever_keeps_a_journal_from_opening(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    journal = opened(path)
    await asyncio.gather(*(journal.write(insert(key, "x" * 300)) for key in range(40)))
    await journal.close()
    whole, draw = path.read_bytes(), random.Random(5)

    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            # The first page above all: what it says decides how the rest is read.
            place = draw.randrange(draw.choice([100, 1024, len(damaged)]))
            damaged[place] = draw.randrange(256)
        path.write_bytes(damaged)
        again = opened(path)
        await again.write(lambda connection: connection.execute("DELETE FROM notes"))
        await again.write(insert(1))
        await again.close()


async def test_a_file_left_by_a_crash_in_its_first_moment_is_used(tmp_path: Path) -> None:
    (tmp_path / "notes.sqlite").touch()

    with capture_logs() as logs:
        journal = opened(tmp_path / "notes.sqlite")

    assert not logs
    await journal.close()


@pytest.mark.parametrize("folder", ["missing", "a-file"])
def test_a_folder_that_cannot_hold_the_file_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a-file").touch()

    with pytest.raises(SettingsError, match=f"{folder}/notes.sqlite: cannot be opened"):
        opened(tmp_path / folder / "notes.sqlite")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(SettingsError, match="Permission denied"):
        opened(tmp_path / "notes.sqlite")


async def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        journal = opened(tmp_path / "notes.sqlite")
        await journal.write(insert(1))
    finally:
        os.umask(umask)

    files = ("notes.sqlite", "notes.sqlite-wal", "notes.sqlite-shm")
    assert modes(tmp_path) == dict.fromkeys(files, 0o600)
    await journal.close()


async def test_another_process_reads_and_writes_while_the_file_is_open(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    journal = opened(path)
    await journal.write(insert(1))

    other = [sys.executable, "-c", JOINER, str(path), SCHEMA]
    await asyncio.to_thread(subprocess.run, other, check=True)

    await journal.write(insert(5))
    assert journal.read_now(keys) == [2, 5]
    await journal.close()


def test_a_file_to_join_must_be_there_and_of_this_schema(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to look like one")

    with pytest.raises(StoreError, match=r"none\.sqlite: there is no such file"):
        Journal.join(tmp_path / "none.sqlite", SCHEMA)
    with pytest.raises(StoreError, match=r"text\.sqlite: cannot be read"):
        Journal.join(tmp_path / "text.sqlite", SCHEMA)


async def test_a_log_never_fills_a_small_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=200) as disk:
        journal = opened(disk / "notes.sqlite", limit_bytes=64 * MEGABYTE)

        for key in range(300):
            await journal.write(insert(key, "x" * 9_000))
            await journal.write(delete(key))

        assert journal.read_now(keys) == []
        await journal.close()


async def test_a_log_that_has_filled_its_disk_is_folded_for_the_next_commit(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=2048) as disk:
        journal = opened(disk / "notes.sqlite")
        for key in range(150):
            await journal.write(insert(key, "x" * 700))
        for key in range(100):
            await journal.write(delete(key))
        journal.read_now(lambda file: file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        for key in range(20):
            await journal.write(insert(key, "x" * 700))
        fill(disk)

        for key in range(1_000, 1_060):
            await journal.write(insert(key, "x" * 700))

        assert len(journal.read_now(keys)) == 130
        await journal.close()


async def test_a_disk_that_stands_still_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.storage.journal._STANDS_S", 0.0)
    journal = opened(None)
    begun, go_on = threading.Event(), threading.Event()

    def stand(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(10)
        insert(1)(connection)

    standing = asyncio.ensure_future(journal.write(stand))
    await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(StoreError, match="its disk stands still"):
        await journal.write(insert(2))
    journal.write_later(insert(3))
    go_on.set()
    await standing
    monkeypatch.undo()

    assert not journal.stands_still
    assert await journal.write(insert(4)) == 4
    assert journal.read_now(keys) == [1, 3, 4]
    await journal.close()


async def test_a_writer_waits_no_longer_than_it_says_and_its_work_is_done_all_the_same() -> None:
    journal = opened(None)
    go_on = threading.Event()

    def stand(connection: sqlite3.Connection) -> None:
        go_on.wait(10)
        insert(1)(connection)

    with pytest.raises(StoreError, match="its disk stands still"):
        await journal.write(stand, 0.01)
    go_on.set()

    await journal.write(insert(2), 10)
    assert journal.read_now(keys) == [1, 2]
    await journal.close()


async def test_a_disk_that_stands_still_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.storage.journal._CLOSING_S", 0.01)
    journal = opened(None)
    go_on = threading.Event()
    journal.write_later(lambda _: go_on.wait(10))

    with capture_logs() as logs:
        await journal.close()

    assert [log["event"] for log in logs] == ["not closed: its disk stands still"]
    go_on.set()
    await asyncio.to_thread(journal._thread.join)


async def test_a_log_that_somebody_deletes_is_brought_home_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    journal = opened(path)
    await journal.write(insert(1))
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()

    with capture_logs() as logs:
        for key in range(2, 5):
            await journal.write(insert(key))

    assert [log["event"] for log in logs] == ["its log was deleted, and is begun anew"]
    left = list(modes(tmp_path))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in left:
        shutil.copy(tmp_path / name, crashed)
    after_it = opened(crashed / path.name)
    assert after_it.read_now(keys) == [1, 2, 3, 4]
    await after_it.close()
    await journal.close()
