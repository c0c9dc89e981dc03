"""Questions that nobody above took are asked again once each, as the edge's own."""

from __future__ import annotations

from uuid import uuid4

from edge_agent.memory.open_questions import OpenQuestions
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label


def escalated(text: str, origin: str = "device-1") -> Escalation:
    hops = (Hop("device", origin, 0.5, 1.0, 10), Hop("edge", "edge-1", 0.5, 1.0, 10))
    prompt = Prompt(uuid4(), origin, "classify", text, 9.0, hops, sender="edge-1")
    local = Result(prompt.id, Label("yes"), hops, degraded="nobody is there")
    return Escalation(prompt, local, Observation(0.5, 1.0, 9), Routing(1, 1.0))


def test_a_question_is_asked_again_once_however_often_it_came_and_the_oldest_first() -> None:
    kept = OpenQuestions()
    for text in ("one", "two", "one"):
        kept.note(escalated(text))
    asked = [kept.next("edge-1", 100.0), kept.next("edge-1", 100.0), kept.next("edge-1", 100.0)]

    assert [each.prompt.text for each in asked if each is not None] == ["one", "two"]


def test_it_is_the_edges_own_prompt_and_whose_it_was_is_known() -> None:
    kept = OpenQuestions()
    kept.note(escalated("one"))
    again = kept.next("edge-1", 100.0)

    assert again is not None
    assert (again.prompt.origin, again.prompt.sender) == ("edge-1", "edge-1")
    assert again.prompt.deadline_s > 100.0
    assert [hop.agent for hop in again.prompt.hops] == ["edge-1"]
    assert kept.origin_of(again.prompt) == "device-1"
    kept.note(again)  # nobody took it this time either
    second = kept.next("edge-1", 200.0)
    assert second is not None
    assert kept.origin_of(second.prompt) == "device-1"


def test_there_are_no_more_of_them_than_fit() -> None:
    kept = OpenQuestions()
    for number in range(1_200):
        kept.note(escalated(f"question {number}"))
    first = kept.next("edge-1", 0.0)

    assert len(kept) == 999
    assert first is not None
    assert first.prompt.text == "question 200"
