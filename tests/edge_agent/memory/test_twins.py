"""One question in two wordings: among the entries, and beside what the model has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.memory import ghosts as ghosts_module
from edge_agent.memory.index import ClusterIndex
from edge_agent.memory.wording import read_question
from tests.support.word_vectors import NOW_S, learn, recall, small_memory

if TYPE_CHECKING:
    import pytest

    from edge_agent.memory.entries import Ghost
    from edge_agent.memory.memory import Memory

PRODUCER = "Who was the producer of Glass River?"
IN_OTHER_WORDS = "Who is the producer of Glass River?"
FAR_OFF = "By whom was Glass River produced?"
BRAZIL_BEAT = "Did Brazil beat Germany in 2014?"
GERMANY_BEAT = "Did Germany beat Brazil in 2014?"


def prove(memory: Memory) -> None:
    """Let the memory hear what says that these wordings are one."""
    known = read_question(PRODUCER)
    for other in (IN_OTHER_WORDS, FAR_OFF) * 9:
        memory.verifier.rewordings.note(read_question(other), known, same=True)


def internalised(memory: Memory) -> Ghost:
    entry = learn(memory, PRODUCER, "Ida Holm").entry
    assert entry is not None
    return memory.internalise(entry, "night-1", 1.0)


def test_entries_that_turn_out_to_be_one_question_are_joined() -> None:
    memory = small_memory()
    for text in (PRODUCER, FAR_OFF):
        learn(memory, text, "Ida Holm")
    apart = len(memory.entries)
    prove(memory)
    memory.refit()
    (entry,) = memory.entries.values()

    assert apart == 2
    assert (entry.wordings, entry.state) == ([PRODUCER, FAR_OFF], "stable")
    assert len(memory.vectors_of(entry)) == 2
    best = recall(memory, FAR_OFF).best
    assert best is not None
    assert (best.entry.id, best.exact) == (1, True)


def test_those_that_disagree_answer_nobody_until_a_third_voice() -> None:
    memory = small_memory()
    for text, answer in ((PRODUCER, "Ida Holm"), (FAR_OFF, "Lars Berg")):
        for _ in range(4):
            learn(memory, text, answer)
    prove(memory)
    memory.refit()

    assert len(memory.entries) == 1
    assert recall(memory, PRODUCER).best is None


def test_another_version_and_another_name_are_no_twins() -> None:
    memory = small_memory()
    learn(memory, PRODUCER, "Ida Holm", version="a")
    learn(memory, FAR_OFF, "Ida Holm", version="b")
    learn(memory, FAR_OFF.replace("River", "Tower"), "Ida Holm", version="a")
    prove(memory)
    memory.refit()

    assert len(memory.entries) == 3


def test_the_same_names_in_other_places_are_no_twins() -> None:
    memory = small_memory()
    learn(memory, GERMANY_BEAT, "yes")
    learn(memory, BRAZIL_BEAT, "no")
    memory.refit()

    for text, answer in ((GERMANY_BEAT, "yes"), (BRAZIL_BEAT, "no")):
        best = recall(memory, text).best
        assert best is not None
        assert (best.entry.answer, best.exact) == (answer, True)


def test_nor_is_one_of_them_what_the_model_has_learned_of_the_other() -> None:
    memory = small_memory()
    learned = learn(memory, GERMANY_BEAT, "yes").entry
    beside = learn(memory, BRAZIL_BEAT, "no").entry
    assert learned is not None
    ghost = memory.internalise(learned, "night-1", 1.0)
    memory.refit()

    assert list(memory.entries.values()) == [beside]
    assert list(memory.ghosts.values()) == [ghost]


def test_nor_does_an_answer_to_one_speak_of_what_was_learned_of_the_other() -> None:
    memory = small_memory()
    learned = learn(memory, GERMANY_BEAT, "yes").entry
    assert learned is not None
    ghost = memory.internalise(learned, "night-1", 1.0)
    outcome = memory.judge_ghost(recall(memory, BRAZIL_BEAT), "yes", "no")
    lesson = learn(memory, BRAZIL_BEAT, "no")

    assert (outcome, lesson.outcome) == (None, "stored")
    assert (ghost.ok, ghost.bad) == (0, 0)
    assert list(memory.ghosts.values()) == [ghost]


def test_a_fresh_answer_does_not_go_into_one_that_is_no_longer_true() -> None:
    memory = small_memory()
    learn(memory, "What is the price of gold today?", "2,000 dollars")
    later_s = NOW_S + 10 * 86_400
    learn(memory, "What is the price of gold today?", "3,000 dollars", later_s)
    memory.refit()
    best = recall(memory, "What is the price of gold today?", later_s).best

    assert best is not None
    assert best.entry.answer == "3,000 dollars"


def test_nor_into_one_from_before_the_moment_from_which_answers_count() -> None:
    memory = small_memory(not_before_s=NOW_S)
    learn(memory, PRODUCER, "Ida Holm", NOW_S - 1)
    learn(memory, PRODUCER, "Lars Berg", NOW_S + 1)
    memory.refit()
    best = recall(memory, PRODUCER).best

    assert best is not None
    assert best.entry.answer == "Lars Berg"


def test_nor_into_what_was_learned_of_another_version() -> None:
    memory = small_memory()
    fresh = learn(memory, IN_OTHER_WORDS, "Lars Berg", version="b").entry
    learned = learn(memory, PRODUCER, "Ida Holm", version="a").entry
    assert learned is not None
    ghost = memory.internalise(learned, "night-1", 1.0)
    prove(memory)
    memory.refit()

    assert list(memory.entries.values()) == [fresh]
    assert list(memory.ghosts.values()) == [ghost]


def test_an_entry_of_what_the_model_has_learned_makes_room() -> None:
    memory = small_memory()
    learn(memory, IN_OTHER_WORDS, "ida holm")
    ghost = internalised(memory)
    prove(memory)
    memory.refit()

    assert not memory.entries
    assert recall(memory, IN_OTHER_WORDS).ghost == ghost


def test_an_entry_that_says_another_thing_opens_what_was_learned() -> None:
    memory = small_memory()
    learn(memory, IN_OTHER_WORDS, "Lars Berg")
    internalised(memory)
    prove(memory)
    memory.refit()
    (entry,) = memory.entries.values()

    assert not memory.ghosts
    assert (entry.state, set(entry.said)) == ("quarantined", {"ida holm", "lars berg"})


def test_what_was_learned_is_found_in_lower_case() -> None:
    memory = small_memory()
    ghost = internalised(memory)
    prove(memory)

    assert recall(memory, PRODUCER.lower()).ghost == ghost
    assert recall(memory, IN_OTHER_WORDS.lower()).ghost == ghost
    assert recall(memory, "who was the producer of glass tower?").ghost is None


def test_an_answer_from_above_proves_a_rewording_of_what_was_learned() -> None:
    memory = small_memory()
    ghost = internalised(memory)
    before = recall(memory, IN_OTHER_WORDS)
    lesson = learn(memory, IN_OTHER_WORDS, "Ida Holm")

    assert before.ghost is None
    assert (lesson.outcome, memory.entries) == ("confirmed", {})
    assert recall(memory, IN_OTHER_WORDS).ghost == ghost


def test_one_that_says_another_thing_is_kept_as_another_question() -> None:
    memory = small_memory()
    ghost = internalised(memory)

    assert learn(memory, IN_OTHER_WORDS, "Lars Berg").outcome == "stored"
    assert list(memory.ghosts.values()) == [ghost]


def test_what_was_learned_and_is_contradicted_is_open_again_and_within_the_room() -> None:
    memory = small_memory(entries=2)
    internalised(memory)
    for number in range(2):
        learn(memory, f"Who wrote Book {number}?", "Lars Berg")
    lesson = learn(memory, PRODUCER, "Lars Berg")

    assert lesson.outcome == "conflict"
    assert not memory.ghosts
    assert len(memory.entries) == 2


def test_a_look_up_compares_no_words_with_what_was_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = memory_without_names()
    compared = counted(monkeypatch, ghosts_module, "difference")

    recall(memory, "why does my left leg hurt in the morning")
    assert not compared
    learn(memory, "why does my left leg hurt in the morning", "age")
    assert compared


def test_a_refit_searches_no_ghost_for_a_question_without_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = memory_without_names()
    searches = counted(monkeypatch, ClusterIndex, "search")
    memory.refit()
    assert not searches

    learn(memory, PRODUCER, "Ida Holm")
    internalised(memory)
    learn(memory, PRODUCER.replace("River", "Tower"), "Ida Holm")
    learn(memory, FAR_OFF, "Ida Holm")
    searches.clear()
    memory.refit()
    assert len(searches) == 1


def memory_without_names() -> Memory:
    """Return one of nine questions in lower case, of which the edge's model has learned one."""
    memory = small_memory()
    for part in ("knee", "foot", "hand", "back", "neck", "head", "hip", "arm", "leg"):
        entry = learn(memory, f"why does my left {part} hurt", part).entry
    assert entry is not None
    memory.internalise(entry, "night-1", 1.0)
    return memory


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[object]:
    """Return a list that grows with each call of a function, which works as before."""
    calls: list[object] = []
    work = getattr(owner, name)

    def counting(*arguments: object) -> object:
        calls.append(name)
        return work(*arguments)

    monkeypatch.setattr(owner, name, counting)
    return calls
