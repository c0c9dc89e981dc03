from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from shared.storage.results import ENTRY_BYTES, Key, ResultStore, results_file
from tests.support.small_disk import fill, small_disk

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1 << 20
VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from uuid import UUID
from shared.storage.results import ResultStore

async def main():
    store = ResultStore.open(Path(sys.argv[1]), "edge-1", limit_bytes=1 << 20, keep_s=60)
    print(await store.attempt(("device-1", UUID(int=1))), flush=True)
    await store.keep(("device-1", UUID(int=2)), b"kept", 0.0)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def opened(
    folder: Path | None, *, limit_bytes: int = MEGABYTE, keep_s: float = 60.0, now_s: float = 0.0
) -> ResultStore:
    return ResultStore.open(folder, "edge-1", limit_bytes=limit_bytes, keep_s=keep_s, now_s=now_s)


def key(number: int, origin: str = "device-1") -> Key:
    return (origin, UUID(int=number))


def rows(store: ResultStore, table: str) -> int:
    """Return how many rows the file holds."""
    query = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
    count: int = store.journal.read_now(lambda file: file.execute(query).fetchone()[0])
    return count


async def test_a_result_is_found_by_origin_and_id() -> None:
    store = opened(None)

    await store.keep(key(1), b"one", 0.0)
    await store.keep(key(1, "device-2"), b"another", 0.0)

    assert store.find(key(1)) == b"one"
    assert store.find(key(1, "device-2")) == b"another"
    assert store.find(key(2)) is None
    await store.close()


async def test_a_better_result_replaces_the_first() -> None:
    store = opened(None)
    await store.keep(key(1), b"one", 0.0)

    await store.keep(key(1), b"better", 1.0)

    assert store.find(key(1)) == b"better"
    assert rows(store, "results") == len(store) == 1
    await store.close()


async def test_results_and_attempts_are_there_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.keep(key(1), b"one", 0.0)
    await store.attempt(key(2))
    await store.close()

    again = opened(tmp_path)

    assert again.find(key(1)) == b"one"
    assert await again.attempt(key(2)) == 2
    await again.close()


async def test_kill_9_takes_nothing_that_was_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", VICTIM, str(tmp_path)]

    told = [
        (await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True)).stdout
        for _ in range(3)
    ]

    assert told == [b"1\n", b"2\n", b"3\n"]
    store = opened(tmp_path)
    assert store.find(key(2)) == b"kept"
    assert await store.attempt(key(1)) == 4
    await store.close()


async def test_a_result_ends_the_count_of_attempts(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert [await store.attempt(key(1)) for _ in range(2)] == [1, 2]

    await store.keep(key(1), b"one", 0.0)

    assert rows(store, "attempts") == 0
    assert await store.attempt(key(1)) == 1
    await store.close()


async def test_a_prompt_that_was_not_run_does_not_count(tmp_path: Path) -> None:
    store = opened(tmp_path)
    await store.attempt(key(1))

    store.drop_attempt(key(1))
    await store.close()

    again = opened(tmp_path)
    assert await again.attempt(key(1)) == 1
    await again.close()


async def test_dropping_an_attempt_that_is_unknown_does_nothing() -> None:
    store = opened(None)

    store.drop_attempt(key(1))

    assert await store.attempt(key(1)) == 1
    await store.close()


async def test_too_many_bytes_push_out_the_oldest(tmp_path: Path) -> None:
    limit_bytes = 10 * (100 + ENTRY_BYTES)
    store = opened(tmp_path, limit_bytes=limit_bytes)

    for number in range(25):
        await store.keep(key(number), b"x" * 100, 0.0)

    found = [number for number in range(25) if store.find(key(number)) is not None]
    assert found == list(range(15, 25))
    assert rows(store, "results") == 10
    await store.close()


async def test_results_go_when_their_time_is_over() -> None:
    store = opened(None, keep_s=10.0)
    await store.keep(key(1), b"one", 100.0)
    await store.keep(key(2), b"two", 105.0)

    await store.keep(key(3), b"three", 110.0)

    assert [store.find(key(number)) for number in (1, 2, 3)] == [None, b"two", b"three"]
    assert rows(store, "results") == 2
    await store.close()


async def test_the_time_of_what_an_earlier_run_kept_begins_anew(tmp_path: Path) -> None:
    store = opened(tmp_path, keep_s=10.0)
    await store.keep(key(1), b"one", 1_000_000.0)
    await store.close()

    again = opened(tmp_path, keep_s=10.0, now_s=5.0)
    await again.keep(key(2), b"two", 14.0)
    assert again.find(key(1)) == b"one"
    await again.keep(key(3), b"three", 16.0)
    assert again.find(key(1)) is None
    await again.close()


async def test_a_smaller_limit_holds_from_the_start(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for number in range(20):
        await store.keep(key(number), b"x" * 100, 0.0)
    await store.close()

    again = opened(tmp_path, limit_bytes=5 * (100 + ENTRY_BYTES))

    assert [number for number in range(20) if again.find(key(number))] == list(range(15, 20))
    await again.close()
    third = opened(tmp_path)
    assert rows(third, "results") == 5
    await third.close()


async def test_attempts_are_bounded(tmp_path: Path) -> None:
    store = opened(tmp_path)

    await asyncio.gather(*(store.attempt(key(number)) for number in range(10_050)))

    assert rows(store, "attempts") == 10_000
    assert await store.attempt(key(0)) == 1
    assert await store.attempt(key(10_000)) == 2
    await store.close()


@pytest.mark.parametrize("payload_bytes", [10, 120, 300, 515, 700, 1_030, 3_000, 40_000])
async def test_the_file_takes_at_most_twice_what_memory_does(
    tmp_path: Path, payload_bytes: int
) -> None:
    store = opened(tmp_path, limit_bytes=256 << 10)

    for _ in range(600):
        await store.keep(("device-1", uuid4()), bytes(payload_bytes), 0.0)

    assert rows(store, "results") == len(store) < 600
    await store.close()
    assert (tmp_path / results_file("edge-1")).stat().st_size <= 512 << 10


async def test_a_full_disk_is_reported_once_and_costs_the_memory_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=512) as disk:
        store = opened(disk, limit_bytes=64 * MEGABYTE)
        await store.keep(key(0), b"kept", 0.0)
        ballast = fill(disk)

        with capture_logs() as logs:
            for number in range(1, 400):
                assert await store.attempt(key(number)) == 1
                await store.keep(key(number), b"x" * 2_000, 0.0)

        errors = [log["event"] for log in logs if log["log_level"] == "error"]
        assert errors == ["results are kept in memory only"]
        assert all(store.find(key(number)) for number in range(400))
        ballast.unlink()
        await store.keep(key(400), b"kept again", 0.0)
        await store.close()
        again = opened(disk)
        assert again.find(key(400)) == b"kept again"
        await again.close()


async def test_a_disk_that_stands_still_holds_no_prompt_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.storage.results._COMMIT_S", 0.01)
    store = opened(tmp_path)
    go_on = threading.Event()
    store.journal.write_later(lambda _: go_on.wait(10))

    with capture_logs() as logs:
        assert await store.attempt(key(1)) == 1
        await store.keep(key(1), b"one", 0.0)

    assert store.find(key(1)) == b"one"
    (log,) = logs
    assert (log["event"], log["log_level"]) == ("results are kept in memory only", "error")
    go_on.set()
    await store.close()
    again = opened(tmp_path)
    assert again.find(key(1)) == b"one", "written once the disk moved on"
    await again.close()
