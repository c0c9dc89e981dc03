"""Questions with ids: asked twice, asked again, and answers said again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.cascades import EASY, Cascade
from tests.support.wires import eventually

if TYPE_CHECKING:
    from tests.support.askers import Asker


async def test_the_same_question_asked_twice_at_a_time_runs_and_is_answered_once(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    for _ in range(2):
        await asker.send({"text": EASY, "id": "1"})
    await asker.send({"text": EASY, "id": "2"})
    await eventually(lambda: model.busy)
    model.release()

    answers = [json.loads((await asker.inbox.next()).payload) for _ in range(2)]

    assert [answer["id"] for answer in answers] == ["1", "2"]
    assert model.seen.count(EASY) == 3, "once to warm up, and once for each question"


async def test_a_question_asked_again_gets_the_same_answer_again_without_the_model(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    first = await asker.ask({"text": EASY, "id": "1"})
    again = await asker.ask({"text": EASY, "id": "1"})
    assert (again["label"], again["hops"]) == (first["label"], first["hops"])
    assert tiers.models["device-1"].seen.count(EASY) == 2


async def test_an_id_may_be_a_number_and_comes_back_as_one(local: tuple[Cascade, Asker]) -> None:
    _, asker = local
    answer = await asker.ask({"text": EASY, "id": 17})
    assert (answer["id"], answer["label"]) == (17, "device-1")
    other = await asker.ask({"text": EASY, "id": "17"})
    assert other["id"] == "17"


async def test_an_id_that_is_in_hand_is_not_another_askers(local: tuple[Cascade, Asker]) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "mine"})
    await eventually(lambda: model.busy)

    refused = await asker.ask({"text": "another text", "id": "mine"})
    assert refused["error"] == "invalid_prompt"
    assert "'mine'" in refused["reason"]
    assert refused["id"] != "mine", "the asker of the first would take it for its answer"

    model.release()
    answer = json.loads((await asker.inbox.next()).payload)
    assert (answer["id"], answer["label"]) == ("mine", "device-1")
    later = await asker.ask({"text": "another text", "id": "mine"})
    assert later["label"] == "device-1"


async def test_an_answer_is_said_again_to_who_knows_its_id(local: tuple[Cascade, Asker]) -> None:
    tiers, asker = local
    answer = await asker.ask({"text": EASY, "id": "1"})
    again = await asker.ask({"id": "1"})
    assert (again["label"], again["hops"]) == (answer["label"], answer["hops"])
    assert tiers.models["device-1"].seen.count(EASY) == 2, "once to warm up, and once"


async def test_an_answer_that_is_still_to_come_is_not_said_twice(
    local: tuple[Cascade, Asker],
) -> None:
    tiers, asker = local
    model = tiers.models["device-1"]
    model.hold()
    await asker.send({"text": EASY, "id": "1"})
    await eventually(lambda: model.busy)
    await asker.send({"id": "1"})
    model.release()
    assert (await asker.inbox.next()).payload
    await asker.ask({"text": EASY, "id": "2"})
    assert len(asker.inbox.messages) == 2
