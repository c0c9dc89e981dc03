"""A question in the words of an entry is found by them: nothing is embedded for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_agent.memory.recall import situation_of
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.store import MemoryStore
from edge_agent.memory.worker import FromAbove, LookUp, MemoryWorker, Remembered
from shared.tasks import Request
from tests.support.word_vectors import DIMENSIONS, NOW_S, learn, small_memory, vector_of

if TYPE_CHECKING:
    from edge_agent.memory.index import Vector

QUESTION = "Who was the director of Glass River?"


def test_a_question_in_the_same_words_is_found_without_a_vector() -> None:
    memory = small_memory(rule="worth")
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    again = memory.asked_before(f"  {QUESTION.upper()} ", NOW_S)

    assert [each.entry.id for each in again.candidates] == [entry.id]
    assert memory.decide(situation_of(again, memory.standing)).way == "direct"
    assert memory.asked_before("Who wrote Glass River?", NOW_S).candidates == []


def test_the_words_of_an_entry_find_it_only_where_a_vector_would() -> None:
    memory = small_memory(owners="apart", rule="worth")
    entry = learn(memory, QUESTION, "Ida Holm", version="v1").entry
    assert entry is not None

    def found(**more: Any) -> bool:
        by_words = bool(memory.asked_before(QUESTION, NOW_S, **more).candidates)
        by_vector = bool(memory.recall(QUESTION, vector_of(QUESTION), NOW_S, **more).candidates)
        assert by_words == by_vector
        return by_words

    assert found()
    assert found(versions=("v1",))
    assert not found(versions=("v2",))
    assert not found(owner="device-1")
    assert not found(task="classify")
    memory.forget([entry.id])
    assert not found()


def test_every_wording_finds_its_entry_and_is_forgotten_with_it() -> None:
    memory = small_memory(rule="worth")
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    shelf = memory._shelf
    shelf.add_wording(entry, "Glass River was directed by whom?", vector_of(QUESTION))
    assert memory.asked_before("glass river was directed by whom", NOW_S).best is not None
    ghost = memory.internalise(entry, "night-1", 1.0)
    assert memory.asked_before(QUESTION, NOW_S).best is None
    memory.restore(ghost)
    (found,) = memory.asked_before("Glass River was directed by whom?", NOW_S).candidates
    assert (found.entry.id, found.wording) == (entry.id, 1)


async def test_a_running_memory_embeds_only_what_nobody_asked_in_these_words() -> None:
    embedded: list[str] = []

    def embed(text: str) -> Vector:
        embedded.append(text)
        return vector_of(text)

    def look_up(text: str) -> LookUp:
        return LookUp(Request("generate", text), "", ())

    store = MemoryStore.open(None, "digest-1", DIMENSIONS)
    worker = MemoryWorker(MemorySettings(rule="worth"), DIMENSIONS, embed, store)
    assert await worker.do(worker.find, look_up(QUESTION)) is None
    await worker.do(worker.learn, FromAbove(look_up(QUESTION), "Ida Holm", "cloud", "v1", ""))
    assert embedded == [QUESTION]

    found = await worker.do(worker.find, look_up(QUESTION.lower()))
    assert isinstance(found, Remembered)
    assert found.source.entries == (1,)
    assert embedded == [QUESTION]
    await worker.do(worker.find, look_up("Who was the director of Glass Tower?"))
    assert len(embedded) == 2
    await worker.close()
    await store.close()
