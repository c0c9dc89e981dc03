"""What may be wrong with a memory after a kill must be found, or a chaos run proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos.remembered import OnDisk, broken_by_kill, read_memory
from edge_agent.memory.store import MemoryStore
from tests.support.word_vectors import DIMENSIONS, learn, small_memory

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = OnDisk({1: "Who wrote A?", 2: "Who wrote B?"}, [])


def test_more_entries_than_before_a_kill_are_what_was_written_meanwhile() -> None:
    assert broken_by_kill(BEFORE, BEFORE) == []
    assert broken_by_kill(BEFORE, OnDisk({**BEFORE.questions, 3: "Who wrote C?"}, [])) == []
    assert broken_by_kill(OnDisk({}, []), OnDisk({}, [])) == []


@pytest.mark.parametrize(
    ("after", "word"),
    [
        ({1: "Who wrote A?"}, "gone"),
        ({1: "Who wrote A?", 2: "Who wrote Z?"}, "gone"),
        ({**BEFORE.questions, 4: "Who wrote D?"}, "gap"),
        ({**BEFORE.questions, 3: "who wrote b"}, "twice"),
    ],
)
def test_an_entry_lost_changed_or_doubled_and_a_gap_are_faults(
    after: dict[int, str], word: str
) -> None:
    (sentence,) = broken_by_kill(BEFORE, OnDisk(after, []))
    assert word in sentence


def test_what_the_file_says_of_itself_is_a_fault() -> None:
    after = OnDisk(BEFORE.questions, ["3 rows cannot be read"])
    assert broken_by_kill(BEFORE, after) == ["3 rows cannot be read"]


async def test_a_memory_is_read_from_the_file_that_an_edge_writes(tmp_path: Path) -> None:
    store = MemoryStore.open(tmp_path, "digest-1", DIMENSIONS)
    learn(small_memory(store), "Who wrote A?", "Ida Holm")
    await store.settle()
    assert await read_memory(tmp_path) == OnDisk({1: "Who wrote A?"}, [])
    await store.close()
