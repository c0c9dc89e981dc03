"""The ledger must catch every broken promise, or a chaos run proves nothing."""

from __future__ import annotations

from typing import Any

from chaos.ledger import Ledger


def answer(question_id: str, label: str = "positive", **more: Any) -> dict[str, Any]:
    return {"id": question_id, "label": label, "tier": "edge"} | more


def asked(*ids: str) -> Ledger:
    ledger = Ledger()
    for number, question_id in enumerate(ids):
        ledger.ask(question_id, float(number))
    return ledger


def test_all_answered_once_is_fine() -> None:
    ledger = asked("a", "b")
    ledger.hear(answer("a"), 2.0)
    ledger.hear({"id": "b", "accepted": True}, 2.0)
    ledger.hear(answer("b", tier="device"), 4.0)
    assert ledger.close() == []
    assert ledger.waits_s() == [2.0, 3.0]
    assert ledger.by_tier() == {"edge": 1, "device": 1}


def test_a_lost_prompt_is_named() -> None:
    ledger = asked("a", "b")
    ledger.hear(answer("a"), 1.0)
    ledger.hear({"id": "b", "accepted": True}, 2.0)
    assert ledger.close() == ["b: accepted, and no answer"]


def test_the_same_answer_again_is_counted_and_another_one_is_a_fault() -> None:
    ledger = asked("a")
    ledger.hear(answer("a"), 1.0)
    ledger.hear(answer("a"), 1.1)
    assert (ledger.suppressed, ledger.close()) == (1, [])
    ledger.hear(answer("a", label="negative"), 1.2)
    assert len(ledger.close()) == 1


def test_a_revision_must_follow_a_degraded_answer() -> None:
    ledger = asked("a", "b")
    ledger.hear(answer("a", degraded="no better answer came in time"), 1.0)
    ledger.hear(answer("a", label="negative", revision=True), 1.5)
    assert (ledger.revised, ledger.violations) == (1, [])
    ledger.hear(answer("b"), 1.0)
    ledger.hear(answer("b", revision=True), 1.5)
    assert len(ledger.violations) == 1


def test_an_answer_that_nobody_asked_for_is_a_fault() -> None:
    ledger = asked("a")
    ledger.hear(answer("z"), 1.0)
    assert len(ledger.violations) == 1


def test_asking_again_is_no_new_question() -> None:
    ledger = asked("a", "a")
    assert (ledger.asked, ledger.repeated) == (1, 1)


def test_whole_again_is_the_first_answer_from_above_to_a_later_question() -> None:
    ledger = asked("a", "b", "c")
    ledger.hear(answer("a"), 2.5)
    ledger.hear(answer("b", tier="device"), 3.0)
    ledger.hear(answer("c"), 4.0)
    assert ledger.whole_again_s(0.5) == 3.5
    assert ledger.whole_again_s(9.0) is None


def test_another_text_or_other_entities_are_a_fault_and_another_certainty_is_none() -> None:
    ledger = asked("a", "b")
    for confidence in (0.98, 0.97):
        entity = {"type": "PER", "start": 0, "end": 9, "confidence": confidence}
        ledger.hear({"id": "a", "entities": [entity], "tier": "edge"}, 1.0)
        ledger.hear({"id": "b", "text": "Ein Hund.", "tier": "edge"}, 1.0)
    assert (ledger.close(), ledger.suppressed, ledger.said("b")) == ([], 2, "Ein Hund.")
    ledger.hear({"id": "a", "entities": [entity | {"end": 8}], "tier": "edge"}, 1.1)
    ledger.hear({"id": "b", "text": "Ein Pferd.", "tier": "edge"}, 1.1)
    assert len(ledger.close()) == 2


def test_reasons_errors_and_labels_are_told() -> None:
    ledger = asked("a", "b", "c")
    ledger.hear(answer("a", degraded="nobody is there"), 1.0)
    ledger.hear(answer("b", degraded="nobody is there"), 2.0)
    ledger.hear({"id": "c", "error": "busy"}, 3.0)
    assert ledger.reasons() == {"nobody is there": 2}
    assert ledger.reasons(asked_after_s=0.5) == {"nobody is there": 1}
    assert ledger.errors() == {"busy": 1}
    assert (ledger.said("a"), ledger.said("c")) == ("positive", "")


def test_answers_from_memories_are_counted_by_agent_and_by_when_they_were_asked() -> None:
    ledger = asked("a", "b", "c")
    for question_id, way in (("a", "memory"), ("b", "memory"), ("c", "model")):
        ledger.hear(answer(question_id, agent="edge-1", source={"way": way}), 5.0)
    assert ledger.remembered() == {"edge-1": 2}
    assert ledger.remembered(asked_after_s=0.5) == {"edge-1": 1}
