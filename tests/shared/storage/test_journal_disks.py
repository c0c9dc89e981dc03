"""Journals on disks that are full, small or standing still."""

from __future__ import annotations

import asyncio
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from shared.errors import StoreError, StoreFull
from tests.support.journals import MEGABYTE, delete, insert, keys, modes, opened, written_until_full
from tests.support.small_disk import fill, small_disk

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


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
