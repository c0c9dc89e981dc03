from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from edge_agent.memory.store import FILE, MemoryStore
from shared.errors import StoreError
from tests.support.processes import ROOT
from tests.support.small_disk import fill, small_disk
from tests.support.word_vectors import DIMENSIONS, learn, recall, small_memory

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.memory.rows import Loaded

QUESTION = "Who was the director of Glass River?"


def opened(folder: Path) -> MemoryStore:
    return MemoryStore.open(folder, "digest-1", DIMENSIONS)


async def test_a_memory_is_as_it_was_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    memory = small_memory(store)
    for number in range(400):
        learn(memory, f"Who wrote Book {number}?", f"Author {number}")
    learn(memory, QUESTION, "Ida Holm")
    learn(memory, QUESTION, "Ida Holm")
    buried = learn(memory, "Who wrote Night Ferry?", "Lars Berg").entry
    assert buried is not None
    memory.internalise(buried, "night-1", 1.0)
    memory.refit()
    asked = [f"Who wrote Book {number}?" for number in range(0, 400, 7)]
    before = [[each.entry.id for each in recall(memory, text).candidates] for text in asked]
    await store.close()

    store = opened(tmp_path)
    again = small_memory(store)

    assert [[each.entry.id for each in recall(again, text).candidates] for text in asked] == before
    assert again.entries == memory.entries
    assert again.ghosts == memory.ghosts
    assert recall(again, "Who wrote Night Ferry?").ghost is not None
    await store.close()


async def test_a_ghost_that_failed_comes_back_from_the_archive(tmp_path: Path) -> None:
    store = opened(tmp_path)
    memory = small_memory(store)
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    ghost = memory.internalise(entry, "night-1", 1.0)
    await store.close()

    store = opened(tmp_path)
    memory = small_memory(store)
    assert memory.restore(memory.ghosts[ghost.id]) is not None
    best = recall(memory, QUESTION).best

    assert best is not None
    assert best.entry.answer == "Ida Holm"
    await store.close()
    loaded = await read(tmp_path)
    assert ([entry.id for entry in loaded.entries], loaded.ghosts) == ([1], [])


async def test_what_is_forgotten_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = opened(tmp_path)
    memory = small_memory(store)
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    memory.internalise(entry, "night-1", 1.0)
    memory.forget([entry.id])
    await store.close()

    store = opened(tmp_path)
    assert (store.archived(), store.load().entries, store.load().ghosts) == ([], [], [])
    await store.close()


async def test_vectors_of_another_embedder_are_refused(tmp_path: Path) -> None:
    await opened(tmp_path).close()

    with pytest.raises(StoreError, match="its vectors are of another embedder"):
        MemoryStore.open(tmp_path, "digest-2", DIMENSIONS)


async def test_a_journal_that_ends_in_the_middle_of_a_change_loses_that_and_no_more(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    memory = small_memory(store)
    for number in range(60):
        learn(memory, f"Who wrote Book {number}?", f"Author {number}")
        store.archived()  # so that each is a commit of its own
    files = {name: (tmp_path / name).read_bytes() for name in (FILE, f"{FILE}-wal")}
    draw, counts = random.Random(3), []
    for cut in sorted(draw.uniform(0.1, 1.0) for _ in range(8)):
        place = tmp_path / f"cut at {cut:.3f}"
        place.mkdir()
        for name, content in files.items():
            end = int(cut * len(content)) if name.endswith("wal") else len(content)
            (place / name).write_bytes(content[:end])
        loaded = await read(place)
        numbers = [entry.id for entry in loaded.entries]
        assert (numbers, loaded.broken) == (list(range(1, len(numbers) + 1)), 0)
        counts.append(len(numbers))
    await store.close()

    assert counts == sorted(counts)
    assert 0 < counts[-1] <= 60


async def test_on_a_full_disk_it_goes_on_and_says_once_what_waits(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kilobytes=512) as disk, capture_logs() as said:
        store = opened(disk)
        memory = small_memory(store)
        learn(memory, QUESTION, "Ida Holm")
        await store.settle()
        ballast = fill(disk)
        for number in range(40):
            learn(memory, f"Who wrote Book {number}?", f"Author {number}")
            store.archived()
        assert recall(memory, "Who wrote Book 39?").best is not None
        ballast.unlink()
        learn(memory, "Who wrote Night Ferry?", "Lars Berg")
        await store.close()
        written = len((await read(disk)).entries)

    assert written == 42
    told = [(line["log_level"], line["event"]) for line in said if "room" in line["event"]]
    assert told == [
        ("warning", "changes wait for room on the disk"),
        ("info", "what waited for room on the disk is written"),
    ]
    (reason,) = {line["reason"] for line in said if line["log_level"] == "warning"}
    assert f"{disk / FILE}: database or disk is full; make room on the disk" in reason


def test_a_file_that_is_no_memory_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all" * 100)

    assert asyncio.run(read(tmp_path)).entries == []
    assert len(list(tmp_path.glob(f"{FILE}*"))) > 1


async def read(folder: Path) -> Loaded:
    store = opened(folder)
    loaded = store.load()
    await store.close()
    return loaded


CHILD = """
import asyncio, sys, itertools
from pathlib import Path
from edge_agent.memory.store import MemoryStore
from tests.support.word_vectors import DIMENSIONS, learn, small_memory

store = MemoryStore.open(Path(sys.argv[1]), "digest-1", DIMENSIONS)
memory = small_memory(store)
for number in itertools.count(len(memory.entries)):
    learn(memory, f"Who wrote Book {number}?", f"Author {number}")
    if not number % 4:
        asyncio.run(store.settle())
        print(number + 1, flush=True)
"""


@pytest.mark.slow
def test_a_process_killed_at_any_moment_loses_at_most_its_tail(tmp_path: Path) -> None:
    draw, known = random.Random(11), 0
    for _ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert child.stdout is not None
        known = int(child.stdout.readline())
        time.sleep(draw.uniform(0.0, 0.05))
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        loaded = asyncio.run(read(tmp_path))
        numbers = [entry.id for entry in loaded.entries]

        assert loaded.broken == 0
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= known

    assert known > 20
