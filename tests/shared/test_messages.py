"""The values that pass between the parts are frozen, and grow only by being replaced."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest

from device_agent.api.schema import write_answer
from device_agent.delivery.outbox_codec import decode, encode_escalated, encode_resolved
from device_agent.delivery.outbox_file import OutboxRow
from experiments.replay.device_targets import read_answer
from experiments.replay.records import Record
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.membership.balancer import LoadBalancer
from shared.membership.status import VERSION, Status
from shared.messages import Failure, Hop, Prompt, Provenance, Result, Scored
from shared.tasks import TASKS
from shared.tasks.classify import Label
from shared.wire.codec import decode_result, encode_prompt, encode_result

if TYPE_CHECKING:
    from experiments.replay.target import Response

ID = UUID(int=1)
HOP = Hop("device", "device-1", 0.5, 0.7, 10)
MEMORY = Provenance("memory", "sentiment-cloud", "f00d", (7,))
EXAMPLES = Provenance("examples", "small", "beef", (7, 9))
EDGE, CLOUD = Provenance("model", "small", "beef"), Provenance("model", "big", "cafe")
WAYS = {
    "memory": ("edge", MEMORY),
    "edge with examples": ("edge", EXAMPLES),
    "edge alone": ("edge", EDGE),
    "cloud": ("cloud", CLOUD),
}


def test_a_prompt_after_a_hop_is_another_prompt_with_that_hop_last() -> None:
    prompt = Prompt(ID, "device-1", "classify", "text", 1.0)
    second = Hop("edge", "edge-1", 0.9, 0.1, 20)

    seen = prompt.after(HOP).after(second)

    assert prompt.hops == ()
    assert seen.hops == (HOP, second)
    assert (seen.id, seen.origin, seen.task, seen.text, seen.deadline_s) == (
        ID,
        "device-1",
        "classify",
        "text",
        1.0,
    )


def test_whether_a_copy_is_wanted_is_said_anew_at_every_hop() -> None:
    prompt = Prompt(ID, "device-1", "classify", "text", 1.0)
    asked = prompt.after(HOP, copy=True)
    assert asked.copy
    assert not asked.after(HOP).copy


def test_a_result_says_which_tier_answered_and_how_sure_it_was() -> None:
    result = Result(ID, Label("yes"), (HOP, Hop("edge", "edge-1", 0.9, 0.1, 20)))
    assert (result.tier, result.confidence) == ("edge", 0.9)


def test_a_result_that_no_tier_saw_names_none() -> None:
    result = Result(ID, Failure("busy", "too much to do"))
    assert (result.tier, result.confidence, result.degraded) == ("", 0.0, "")


@pytest.mark.parametrize(
    "value",
    [
        Label("x"),
        Failure("a", "b"),
        HOP,
        Prompt(ID, "d", "classify", "t", 1.0),
        Result(ID, Label("x")),
        Scored(Label("x"), 0.5, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_value_is_frozen(value: object) -> None:
    field = type(value).__annotations__.keys().__iter__().__next__()
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, field, None)


def test_classify_is_a_task() -> None:
    assert "classify" in TASKS


@pytest.mark.parametrize("way", WAYS)
def test_where_an_answer_comes_from_passes_through_all_that_holds_answers(way: str) -> None:
    tier, source = WAYS[way]
    own = Hop("device", "device-1", 0.5, 0.75, 1_000, "max_probability", None, CLOUD)
    made = Hop(tier, f"{tier}-1", 0.875, 0.0, 2_000, source=source)
    came = decode_result(
        encode_result(Result(ID, Label("good"), (made,)), known_hops=0, sourced=True)
    )
    assert isinstance(came, Result)
    result = _above().name_confidences(came).after((own,))
    row = OutboxRow(ID, encode_escalated(_escalation(own), None), encode_resolved(result))
    stored = decode(row, "device-1").result
    assert stored is not None
    answer = write_answer(stored, echo=None, elapsed_s=0.1)
    response = read_answer(msgspec.json.decode(msgspec.json.encode(answer)), "classify")
    record = msgspec.json.decode(msgspec.json.encode(_record(response)), type=Record)

    assert record.hops[-1].source == source
    remembered = "remembered" if way == "memory" else "max_probability"
    assert answer["confidence_kind"] == record.hops[-1].confidence_kind == remembered


def _above() -> LoadBalancer:
    """Return what a device knows of the agents above."""
    balancer = LoadBalancer(["edge", "cloud"], random.Random(1))
    for tier, model, bundle in (("edge", "small", "beef"), ("cloud", "big", "cafe")):
        status = Status(
            "online",
            1,
            ("classify",),
            model,
            bundle=bundle,
            version=VERSION,
            confidence_kind="max_probability",
        )
        balancer.hear(tier, f"{tier}-1", status, 0.0)
    return balancer


@pytest.mark.parametrize(("version", "sourced"), [(VERSION, True), (4, False)])
def test_only_who_can_read_it_is_asked_where_an_answer_comes_from(
    version: int, sourced: bool
) -> None:
    balancer = LoadBalancer(["edge"], random.Random(1))
    status = Status("online", 1, ("classify",), "small", version=version)
    balancer.hear("edge", "edge-1", status, 0.0)
    prompt = Prompt(ID, "device-1", "classify", "is it?", math.inf, sourced=True)
    pick = balancer.choose(prompt, 1, 0.0)
    assert pick is not None

    assert pick.hand(prompt).sourced == sourced
    assert (encode_prompt(pick.hand(prompt), 0.0)[1] == 3) == sourced


def _escalation(own: Hop) -> Escalation:
    prompt = Prompt(ID, "device-1", "classify", "is it?", math.inf, (own,))
    ours = Result(ID, Label("bad"), (own,))
    return Escalation(prompt, ours, Observation(0.5, 0.0, 6), Routing(1, 0.75))


def _record(response: Response) -> Record:
    return Record(
        number=1,
        id=str(ID),
        device="device-1",
        task="classify",
        at_s=0.0,
        sent_s=0.0,
        done_s=0.1,
        key="00",
        hops=response.hops,
        answer={"label": "good"},
    )
