"""What the memory of an edge has on its disk, and what must be true of that over a kill."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from edge_agent.memory.store import FILE, MemoryStore
from edge_agent.memory.wording import normalise

if TYPE_CHECKING:
    from pathlib import Path


class OnDisk(NamedTuple):
    """The questions in a memory's file by the numbers of their entries, and what is wrong there."""

    questions: dict[int, str]
    faults: list[str]


async def read_memory(folder: Path) -> OnDisk:
    """Read a memory's file, also one that an edge is writing."""
    store = MemoryStore.join(folder / FILE)
    try:
        loaded = await asyncio.to_thread(store.load)
        faults = await asyncio.to_thread(store.faults)
    finally:
        await store.close()
    return OnDisk({entry.id: entry.question for entry in loaded.entries}, faults)


def broken_by_kill(before: OnDisk, after: OnDisk) -> list[str]:
    """Return a sentence for each promise that a kill between the two has broken.

    What was on the disk is there; what is lost are the last entries alone, which leave no gap; no
    question is there twice; and the file is sound.
    """
    said = list(after.faults)
    if missing := {*before.questions.items()} - {*after.questions.items()}:
        said.append(f"{len(missing)} entries that were on the disk are gone: {sorted(missing)[:3]}")
    numbers = sorted(after.questions)
    if numbers != list(range(1, len(numbers) + 1)):
        said.append(f"there is a gap in the {len(numbers)} entries up to number {numbers[-1]}")
    asked = Counter(map(normalise, after.questions.values()))
    if twice := [text for text, count in asked.items() if count > 1]:
        said.append(f"{len(twice)} questions are remembered twice: {twice[:3]}")
    return said
