from __future__ import annotations

import pytest

from edge_agent.memory.recall import situation_of
from edge_agent.memory.wording import read_question
from tests.support.word_vectors import NOW_S, learn, recall, small_memory

QUESTION = "Who was the director of Glass River?"
LONG_AGO_S = NOW_S - 100 * 86_400


def test_an_answer_from_above_is_remembered_at_once() -> None:
    memory = small_memory()
    assert learn(memory, QUESTION, "Ida Holm").outcome == "stored"
    best = recall(memory, "who was the director of glass river").best

    assert best is not None
    assert (best.entry.answer, best.exact, best.same) == ("Ida Holm", True, 1.0)


def test_it_answers_by_itself_once_a_second_answer_agrees() -> None:
    memory = small_memory()
    learn(memory, QUESTION, "Ida Holm")
    first = memory.decide(situation_of(recall(memory, QUESTION), memory.standing))
    assert learn(memory, QUESTION, "ida holm").outcome == "confirmed"
    second = memory.decide(situation_of(recall(memory, QUESTION), memory.standing))

    assert (first.way, second.way) == ("examples", "direct")


@pytest.mark.parametrize(
    "asked",
    [
        "Who was the director of Glass Tower?",
        "Who was the producer of Glass River?",
        "Who was not the director of Glass River?",
    ],
)
def test_a_near_duplicate_is_not_answered_from_it(asked: str) -> None:
    memory = small_memory()
    for _ in range(3):
        learn(memory, QUESTION, "Ida Holm")

    assert memory.decide(situation_of(recall(memory, asked), memory.standing)).way == "cloud"


def test_answers_that_contradict_each_other_are_put_aside_until_one_leads() -> None:
    memory = small_memory()
    learn(memory, QUESTION, "Ida Holm")
    conflict = learn(memory, QUESTION, "Lars Berg")
    aside = memory.decide(situation_of(recall(memory, QUESTION), memory.standing))
    learn(memory, QUESTION, "Lars Berg")
    after = recall(memory, QUESTION).best

    assert conflict.outcome == "conflict"
    assert aside.way == "cloud"
    assert after is not None
    assert after.entry.answer == "Lars Berg"
    assert memory.counts == {"stored": 1, "conflict": 1, "confirmed": 1}


def test_nothing_personal_is_remembered() -> None:
    memory = small_memory()
    learned = learn(memory, "Is 4111 1111 1111 1111 a card?", "Yes")

    assert (learned.outcome, learned.entry) == ("refused", None)
    assert "card number" in learned.why
    assert not memory.entries


def test_the_memory_never_holds_more_than_it_may() -> None:
    memory = small_memory(entries=20)
    for number in range(100):
        learn(memory, f"Who wrote Book {number}?", f"Author {number}", NOW_S + number)
        assert len(memory.entries) <= 20

    assert len(memory._shelf.index) == 20


def test_what_is_true_for_hours_is_not_answered_the_next_day() -> None:
    memory = small_memory()
    for _ in range(2):
        learn(memory, "What is the weather in Graz?", "Rain")

    assert recall(memory, "What is the weather in Graz?").best is not None
    assert recall(memory, "What is the weather in Graz?", NOW_S + 86_400).best is None


def test_memories_kept_apart_know_nothing_of_each_other() -> None:
    memory = small_memory(owners="apart")
    memory.learn(recall(memory, QUESTION, owner="pi-1"), "Ida Holm", NOW_S)

    assert recall(memory, QUESTION, owner="pi-1").best is not None
    assert recall(memory, QUESTION, owner="pi-2").best is None


def test_answers_of_another_version_or_from_before_do_not_count() -> None:
    for settings in ({"only_version": "b"}, {"not_before_s": NOW_S + 1}):
        memory = small_memory(**settings)
        learn(memory, QUESTION, "Ida Holm", version="a")

        assert recall(memory, QUESTION).best is None


def test_what_the_model_learned_leaves_a_ghost_without_its_text() -> None:
    memory = small_memory()
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    ghost = memory.internalise(entry, "night-1", 1.0)
    again = recall(memory, QUESTION)
    other = recall(memory, "Who was the director of Glass Tower?")

    assert not memory.entries
    assert memory.decide(situation_of(again, memory.standing)).way == "edge"
    assert (again.ghost, other.ghost) == (ghost, None)
    assert "Ida" not in repr(ghost)
    assert "Glass" not in repr(ghost)


def test_a_ghost_that_failed_gives_its_entry_back() -> None:
    memory = small_memory()
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    memory.restore(memory.internalise(entry, "night-1", 1.0))

    assert not memory.ghosts
    best = recall(memory, QUESTION).best
    assert best is not None
    assert best.entry.answer == "Ida Holm"


def test_what_the_cloud_says_otherwise_than_the_model_has_learned_is_open_again() -> None:
    memory = small_memory()
    entry = learn(memory, QUESTION, "Ida Holm").entry
    assert entry is not None
    memory.internalise(entry, "night-1", 1.0)

    assert memory.judge_ghost(recall(memory, QUESTION), "Ida Holm", "ida holm.") == "confirmed"
    assert memory.ghosts
    assert memory.judge_ghost(recall(memory, QUESTION), "Ida Holm", "Lars Berg") == "conflict"
    assert not memory.ghosts
    assert recall(memory, QUESTION).usable == []
    assert memory.judge_ghost(recall(memory, QUESTION), "Ida Holm", "Lars Berg") is None


def test_what_is_forgotten_is_gone_with_its_ghost() -> None:
    memory = small_memory()
    first = learn(memory, QUESTION, "Ida Holm").entry
    second = learn(memory, "Who wrote Night Ferry?", "Lars Berg").entry
    assert first is not None
    assert second is not None
    memory.internalise(second, "night-1", 1.0)

    assert memory.forget([first.id, second.id, 99]) == 2
    assert (memory.entries, memory.ghosts, len(memory._shelf.index)) == ({}, {}, 0)


def test_without_the_cloud_what_is_remembered_answers_and_says_so() -> None:
    memory = small_memory()
    learn(memory, QUESTION, "Ida Holm")
    situation = situation_of(recall(memory, QUESTION), memory.standing, cloud_open=False)

    assert memory.decide(situation).way == "direct"
    assert memory.decide(situation).degraded


def test_what_is_let_go_of_leaves_what_it_taught_and_what_is_forgotten_does_not() -> None:
    memory = small_memory()
    rewordings = memory.verifier.rewordings
    asked = read_question(QUESTION), read_question(QUESTION.replace("was", "is"))
    for let_go, left in ((memory.drop, 1), (memory.forget, 0)):
        entry = learn(memory, QUESTION, "Ida Holm").entry
        assert entry is not None
        rewordings.note(*asked, same=True)

        assert let_go([entry.id]) == 1
        assert memory.entries == {}
        assert len(rewordings.rows()) == left
