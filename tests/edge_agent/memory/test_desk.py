from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.memory.desk import MemoryDesk
from edge_agent.memory.entries import Entry
from edge_agent.memory.eviction import to_learn
from edge_agent.memory.requests import (
    CheckMemory,
    ExportEntries,
    ForgetEntries,
    SearchMemory,
    ShowMemory,
)
from edge_agent.memory.store import FILE, MemoryStore
from edge_agent.memory.wording import read_question
from shared.errors import MemoryRefused
from tests.support.word_vectors import DIMENSIONS, NOW_S, learn, recall, small_memory, vector_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.memory.memory import Memory

RIVER = "Who was the director of Glass River?"
FERRY = "Who wrote Night Ferry?"


class Room:
    """A memory of two entries, one of which the edge's model has learned, and its desk."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore.open(folder, "digest-1", DIMENSIONS)
        self.memory: Memory = small_memory(self.store)
        self.desk = MemoryDesk(self.memory, self.store, vector_of)
        learn(self.memory, RIVER, "Ida Holm", NOW_S, model="sky", version="v1")
        learn(self.memory, FERRY, "Lars Berg", NOW_S + 100, model="sky", version="v2")
        self.memory.internalise(self.memory.entries[2], "night-1", 1.0)

    def do(self, request: Any) -> dict[str, Any]:
        return self.desk.do(request)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    asyncio.run(made.store.close())


def test_what_is_remembered_is_counted(room: Room) -> None:
    shown = room.do(ShowMemory())

    assert (shown["entries"], shown["ghosts"], shown["archived"]) == (1, 1, 1)
    assert shown["versions"] == [{"model": "sky", "version": "v1", "entries": 1}]
    assert shown["checks"] == {"right": 0, "wrong": 0}


def test_words_are_found_in_questions_and_answers_also_of_what_was_learned(room: Room) -> None:
    for text in ("glass RIVER", "ida"):
        assert room.do(SearchMemory(text))["entries"][0]["id"] == 1
    assert room.do(SearchMemory("lars berg"))["entries"][0]["id"] == 2


def test_questions_in_other_words_are_found_after_those(room: Room) -> None:
    found = room.do(SearchMemory("of whom was the director Glass River"))["entries"]

    assert [entry["id"] for entry in found] == [1]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (ForgetEntries(entries=(1,)), [2]),
        (ForgetEntries(containing="ferry"), [1]),
        (ForgetEntries(version="v2"), [1]),
        (ForgetEntries(version="sky"), []),
        (ForgetEntries(before_s=NOW_S + 50), [2]),
        (ForgetEntries(before_s=NOW_S + 50, containing="ferry"), [1, 2]),
    ],
)
def test_what_is_forgotten_is_what_all_holds_for(
    room: Room, wanted: ForgetEntries, left: list[int]
) -> None:
    forgotten = room.do(wanted)["forgotten"]

    assert [entry.id for entry in room.memory.everything()] == left
    assert forgotten == 2 - len(left)


def test_what_is_forgotten_is_in_no_file_and_no_training_set(room: Room, tmp_path: Path) -> None:
    for _ in range(2):
        learn(room.memory, RIVER, "Ida Holm", NOW_S)
    asyncio.run(room.store.settle())
    kept = _bytes_of(tmp_path)
    room.do(ForgetEntries(entries=(1, 2)))
    asyncio.run(room.store.settle())

    assert to_learn(room.memory.entries.values(), 10, NOW_S) == []
    assert room.store.archived() == []
    for text in (b"Glass River", b"Ida Holm", b"Night Ferry", b"Lars Berg"):
        assert text in kept
        assert text not in _bytes_of(tmp_path)


def test_a_question_that_no_entry_says_any_more_is_no_rewording_either(
    room: Room, tmp_path: Path
) -> None:
    knee = "why does my left knee hurt", "what makes my left knee hurt"
    for text in knee:
        learn(room.memory, text, "running", NOW_S)
    rewordings = room.memory.verifier.rewordings
    rewordings.note(*map(read_question, knee), same=True)
    rewordings.note(read_question(RIVER), read_question(FERRY), same=False)
    room.memory.refit()
    asyncio.run(room.store.settle())
    kept, others = _bytes_of(tmp_path), len(rewordings.rows())

    room.do(ForgetEntries(containing="left knee"))
    asyncio.run(room.store.settle())

    assert b"left knee" in kept
    assert b"left knee" not in _bytes_of(tmp_path)
    assert len(rewordings.rows()) == others - 1


def test_rewordings_that_others_say_or_no_entry_says_outlive_it(room: Room) -> None:
    rewordings = room.memory.verifier.rewordings
    for one, other in (
        ("who was the director of glass river", RIVER.replace("was", "is")),
        ("By whom was Iron Gate produced?", "Who was the producer of Iron Gate?"),
    ):
        rewordings.note(read_question(one), read_question(other), same=True)
    kept = rewordings.rows()
    learn(room.memory, "why does my left knee hurt", "running", NOW_S)
    room.do(ForgetEntries(containing="left knee"))

    assert rewordings.rows() == kept
    room.do(ForgetEntries(containing="glass river"))
    assert len(rewordings.rows()) == len(kept) - 1


def test_a_wording_that_proved_to_be_of_what_was_learned_is_found_and_forgotten(
    room: Room,
) -> None:
    asked = "Who really wrote Night Ferry?"
    ghost = room.memory.ghosts[2]
    ghost.ok = 3.0
    outcome = learn(room.memory, asked, "Lars Berg", version="v2").outcome
    kept = room.memory.buried(ghost)

    assert kept is not None
    assert (outcome, kept.wordings, ghost.ok) == ("confirmed", [FERRY, asked], 3.0)
    assert room.memory.verifier.rewordings.rows()
    assert room.do(ForgetEntries(containing="really"))["forgotten"] == 1
    assert room.memory.verifier.rewordings.rows() == []


def test_nothing_is_forgotten_where_nothing_is_named(room: Room) -> None:
    with pytest.raises(MemoryRefused, match="nothing was named"):
        room.do(ForgetEntries())

    assert len(room.memory.everything()) == 2


def test_an_epoch_outlives_the_process(room: Room, tmp_path: Path) -> None:
    room.memory.begin_epoch(NOW_S + 200)
    learn(room.memory, RIVER, "Ida Holm", NOW_S + 100)
    assert recall(room.memory, RIVER, NOW_S + 300).best is None
    asyncio.run(room.store.close())
    room.store = MemoryStore.open(tmp_path, "digest-1", DIMENSIONS)
    again = small_memory(room.store)

    assert again.not_before_s == NOW_S + 200
    assert recall(again, RIVER, NOW_S + 300).best is None


def test_an_export_comes_in_pages_to_its_end(room: Room) -> None:
    for number in range(150):
        learn(room.memory, f"Who wrote Book {number}?", f"Author {number}")
    seen: list[int] = []
    page: dict[str, Any] = {"after": 0}
    while page["after"] is not None:
        page = room.do(ExportEntries(page["after"]))
        seen += [row["id"] for row in page["entries"]]

    assert seen == list(range(1, 153))


def test_a_sound_memory_has_no_faults_and_a_bent_one_says_which(room: Room) -> None:
    assert room.do(CheckMemory())["faults"] == []
    room.store.put(room.memory.entries[1], [2.0 * vector_of(RIVER)])
    asyncio.run(room.store.settle())

    assert room.do(CheckMemory())["faults"] == ["1 vectors have not the length 1"]


def _entry(row: dict[str, Any]) -> Entry:
    return msgspec.convert(row, Entry)


def _bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob(f"{FILE}*"))
