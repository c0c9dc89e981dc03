"""Entries of one memory taken in by another: all of a request or none, and each but once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.memory.entries import Entry
from edge_agent.memory.taking_over import take_over
from shared.errors import MemoryRefused
from tests.support.word_vectors import NOW_S, learn, recall, small_memory, vector_of

if TYPE_CHECKING:
    from edge_agent.memory.memory import Memory

FERRY = "Who wrote Night Ferry?"


def taken(memory: Memory, *entries: Entry) -> dict[str, int]:
    return take_over(memory, entries, vector_of, NOW_S + 500)


def entry(question: str = FERRY, answer: str = "Lars Berg", **more: Any) -> Entry:
    row = {
        "id": 9,
        "task": "generate",
        "created_s": NOW_S,
        "used_s": NOW_S,
        "said": {"lars berg": ["who wrote night ferry"]},
    }
    return msgspec.convert(row | {"wordings": [question], "answer": answer} | more, Entry)


def test_what_one_memory_knows_another_takes_in_with_who_gave_it() -> None:
    memory = small_memory()
    learn(memory, "Who painted Red Door?", "Mia Lund")

    assert taken(memory, entry(version="v2")) == {"stored": 1}
    best = recall(memory, FERRY).best
    assert best is not None
    assert (best.entry.id, best.entry.answer, best.entry.version) == (2, "Lars Berg", "v2")


def test_an_entry_that_is_there_already_is_no_second_opinion() -> None:
    memory = small_memory()
    taken(memory, entry())

    assert taken(memory, entry()) == {"known": 1}
    assert _states(memory) == ["fresh"]
    assert taken(memory, entry(created_s=NOW_S + 5)) == {"confirmed": 1}
    assert _states(memory) == ["stable"]
    assert taken(memory, entry(answer="Ida Holm", created_s=NOW_S + 5)) == {"conflict": 1}
    assert _states(memory) == ["quarantined"]


@pytest.mark.parametrize(
    "changes",
    [
        {"wordings": ["Is 4111 1111 1111 1111 a card?"]},
        {"wordings": [FERRY, "Is 4111 1111 1111 1111 a card?"]},
        {"created_s": 1.0},
    ],
)
def test_what_is_personal_or_before_the_epoch_is_not_imported(changes: dict[str, Any]) -> None:
    memory = small_memory()
    memory.begin_epoch(100.0)

    assert taken(memory, entry(**changes)) == {"refused": 1}
    assert not memory.entries


@pytest.mark.parametrize("wordings", [[], ["Who?"] * 6])
def test_an_entry_that_no_memory_can_hold_is_named_and_none_is_taken(wordings: list[str]) -> None:
    memory = small_memory()

    with pytest.raises(MemoryRefused, match=r"entry 9 has . wordings.*none of the 2 was taken"):
        taken(memory, entry(), entry(wordings=wordings))
    assert not memory.entries


def test_an_embedder_that_breaks_half_way_leaves_the_memory_as_it_was() -> None:
    memory = small_memory()

    def embed(text: str) -> Any:
        if "Ferry" in text:
            raise MemoryRefused("the embedder broke")
        return vector_of(text)

    with pytest.raises(MemoryRefused):
        take_over(memory, (entry("Who wrote Glass River?"), entry()), embed, NOW_S)
    assert not memory.entries


def _states(memory: Memory) -> list[str]:
    return [each.state for each in memory.entries.values()]
