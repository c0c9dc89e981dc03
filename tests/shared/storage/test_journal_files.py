"""The files of a journal: damaged, shared, in odd places, and who may read them."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from shared.errors import SettingsError, StoreError
from shared.storage.journal import Journal
from tests.support.journals import SCHEMA, insert, keys, modes, opened

if TYPE_CHECKING:
    from pathlib import Path


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
