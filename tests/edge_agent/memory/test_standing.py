"""How well each way of answering does outlives the process, and no text of a question with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from edge_agent.memory.standing import Standing
from edge_agent.memory.store import FILE, MemoryStore
from tests.support.processes import ROOT
from tests.support.word_vectors import DIMENSIONS, JUDGED, judge, recall, small_memory

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.memory.memory import Memory

PRIORS = {"direct": 0.95, "examples": 0.9}
KIND = "who was the director of ⟨⟩"
CHILD = """
import asyncio, sys
from pathlib import Path
from edge_agent.memory.store import MemoryStore
from tests.support.word_vectors import DIMENSIONS, judge, small_memory

async def main():
    store = MemoryStore.open(Path(sys.argv[1]), "digest-1", DIMENSIONS)
    memory = small_memory(store)
    judge(memory)
    await store.settle()
    print("settled", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def chances(memory: Memory) -> list[float]:
    kind = recall(memory, JUDGED).question.masked
    ways, kinds = ("direct", "examples", "edge"), ("", kind, "another kind")
    return [memory.standing.lower(way, each) for way in ways for each in kinds]


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob(f"{FILE}*"))


def test_a_kind_of_which_little_is_known_is_drawn_towards_all() -> None:
    standing = Standing(PRIORS)
    for number in range(40):
        standing.note("direct", "poor" if number % 4 else "good", right=not number % 4)

    assert standing.chance("direct", "poor") < standing.chance("direct") < 0.5
    assert standing.chance("direct", "good") > standing.chance("direct")
    assert standing.chance("direct", "new") == standing.chance("direct")
    assert standing.lower("direct", "good") < standing.chance("direct", "good")
    assert standing.chance("examples") == 0.9


def test_what_a_note_changes_is_all_that_another_needs_to_know() -> None:
    first, second = Standing(PRIORS), Standing(PRIORS)
    for right in (True, False, False):
        second.take(first.note("direct", KIND, right=right))
    second.take({"of-no-way": (9.0, 0.0), "of-no-way 77": (9.0, 0.0)})

    for kind in ("", KIND, "another"):
        assert second.lower("direct", kind) == first.lower("direct", kind)


def test_names_tell_no_word_of_the_question() -> None:
    (way, kind) = Standing(PRIORS).note("direct", KIND, right=True)

    assert way == "direct"
    assert len(kind) == len("direct ") + 16
    assert "director" not in kind


def test_it_is_as_it_was_after_a_kill(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "settled\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()

    async def read() -> list[float]:
        store = MemoryStore.open(tmp_path, "digest-1", DIMENSIONS)
        found = chances(small_memory(store))
        await store.close()
        return found

    judged = small_memory()
    judge(judged)
    assert asyncio.run(read()) == chances(judged) != chances(small_memory())


async def test_forgetting_leaves_numbers_and_no_word(tmp_path: Path) -> None:
    store = MemoryStore.open(tmp_path, "digest-1", DIMENSIONS)
    memory = small_memory(store)
    judge(memory)
    before = chances(memory)
    memory.forget([1])
    await store.settle()
    written = bytes_of(tmp_path)
    await store.close()

    assert b"director" not in written
    assert b"Ida Holm" not in written
    assert chances(memory) == before
