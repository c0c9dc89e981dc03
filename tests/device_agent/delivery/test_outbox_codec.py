"""A row is read back as it was written, or it is refused: nothing in between reaches the device."""

from __future__ import annotations

import math
import time
from typing import Any
from uuid import UUID

import msgspec
import pytest

from device_agent.delivery.outbox_codec import (
    ReplyTo,
    asker_of,
    decode,
    encode_escalated,
    encode_resolved,
)
from device_agent.delivery.outbox_file import OutboxRow
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation, Tier
from shared.errors import MalformedMessage, ServerAway
from shared.messages import Failure, Hop, Prompt, Result
from shared.tasks.classify import Label

ID = UUID(int=5)
HOP = Hop("device", "device-1", 0.25, 0.75, 1_234)
OWN = Result(ID, Label("own"), (HOP,))
ASKER = ReplyTo("question 7", revisions=True)
PAYLOAD = ["the seal weeps", "classify", 12.0, msgspec.to_builtins(HOP), False, [1, "own"], 1, None]
NAN, INFINITE = math.nan, math.inf


def escalated(limit_s: float = 20.0) -> Escalation:
    prompt = Prompt(ID, "device-1", "classify", "größer", time.monotonic() + limit_s, (HOP,))
    return Escalation(prompt, OWN, Observation(0.25, 0.0, 8), Routing(1, 0.75))


def row(changes: dict[int, Any], result: Any = None) -> OutboxRow:
    """Return a row that is good but for what is changed, by its place."""
    fields = [changes.get(place, field) for place, field in enumerate(PAYLOAD)]
    settled = None if result is None else msgspec.msgpack.encode(result)
    return OutboxRow(ID, msgspec.msgpack.encode(fields), settled)


def hop(**changes: Any) -> Any:
    return msgspec.to_builtins(HOP) | changes


def test_a_row_is_read_as_it_was_written() -> None:
    result = Result(ID, Label("better"), (HOP, Hop("edge", "edge-1", 1.0, 0.0, 5)), "late")

    read = decode(
        OutboxRow(ID, encode_escalated(escalated(), ASKER), encode_resolved(result)), "device-1"
    )

    assert (read.asker, read.result) == (ASKER, result)
    prompt = read.escalated.prompt
    assert (prompt.id, prompt.text, prompt.hops) == (ID, "größer", (HOP,))
    assert (read.escalated.local_result, read.escalated.routing) == (OWN, Routing(1, 0.75))
    assert prompt.deadline_s - time.monotonic() == pytest.approx(20, abs=1)


def test_options_outlive_the_process_and_who_asked_is_found_behind_them() -> None:
    options = {"max_new_tokens": 7, "stop": ["\n"]}
    prompt = msgspec.structs.replace(escalated().prompt, task="generate", options=options)
    escalation = msgspec.structs.replace(escalated(), prompt=prompt)
    stored = OutboxRow(ID, encode_escalated(escalation, ASKER), None)

    read = decode(stored, "device-1")

    assert (read.escalated.prompt.options, read.escalated.prompt.task) == (options, "generate")
    assert read.escalated.observation.prompt_bytes == prompt.size_bytes > len("größer".encode())
    assert read.asker == asker_of(stored) == ASKER


def test_a_prompt_that_went_up_unjudged_is_still_without_an_answer_of_ours() -> None:
    now_s = time.monotonic()
    prompt = Prompt(ID, "device-1", "generate", "write", now_s + 20)
    tier = Tier("device", above=("edge",))
    passed = tier.pass_on("device-1", prompt, ServerAway("gone"), arrived_s=now_s, now_s=now_s)

    read = decode(OutboxRow(ID, encode_escalated(passed, ASKER), None), "device-1")

    assert not read.escalated.scored
    assert read.escalated.local_result == passed.local_result
    late = read.escalated.degraded("nobody above is alive")
    assert (late.outcome, late.degraded) == (Failure("busy", "gone; nobody above is alive"), "")


def test_what_the_model_said_beside_its_head_outlives_the_process() -> None:
    headed = Hop("device", "device-1", 0.25, 0.75, 1_234, "agreement", 0.97)
    escalation = msgspec.structs.replace(
        escalated(), local_result=Result(ID, Label("own"), (headed,))
    )
    prompt = msgspec.structs.replace(escalation.prompt, hops=(headed,))
    escalation = msgspec.structs.replace(escalation, prompt=prompt)
    result = Result(ID, Label("own"), (headed,), "late")
    stored = OutboxRow(ID, encode_escalated(escalation, None), encode_resolved(result))

    read = decode(stored, "device-1")

    assert read.escalated.local_result == escalation.local_result
    assert read.escalated.degraded("nobody is above").certainty == 0.97
    assert read.result == result


def test_a_row_of_before_hops_said_what_they_went_by_is_read_without_it() -> None:
    read = decode(row({}, [[1, "label"], [hop()], ""]), "device-1")

    own = read.escalated.local_result.hops[0]
    assert (own.confidence_kind, own.probability, own.certainty) == ("", None, 0.25)
    assert read.result is not None


@pytest.mark.parametrize(("limit_s", "left_s"), [(-3.0, 0.0), (INFINITE, 1e9)])
def test_a_prompt_without_time_and_one_without_end_are_read_again(
    limit_s: float, left_s: float
) -> None:
    read = decode(OutboxRow(ID, encode_escalated(escalated(limit_s), None), None), "device-1")

    assert read.escalated.prompt.deadline_s - time.monotonic() == pytest.approx(left_s, abs=1)


@pytest.mark.parametrize(
    "changes",
    [
        *({2: time_s} for time_s in (NAN, INFINITE, -INFINITE, -1, 1e300, "12")),
        *({3: hop(confidence=share)} for share in (NAN, INFINITE, -0.1, 1.1, None)),
        *({3: hop(threshold=share)} for share in (NAN, -INFINITE, 2)),
        *({3: hop(tier=name)} for name in ("", "a/b", "+", "x" * 300)),
        *({3: hop(agent=name)} for name in ("", "#")),
        {3: hop(elapsed_us=-1)},
        *({3: hop(probability=share)} for share in (NAN, -0.1, 1.1)),
        {3: hop(confidence_kind="x" * 40)},
        {3: hop(more=1)},
        {3: None},
        *({6: up} for up in (0, -1, 1.5, True)),
        *({5: answer} for answer in ([2, "a failure"], [7, "x"], "own")),
        {7: ["an asker", 1]},
        *({7: ["an asker", False, topic]} for topic in ("answers/#", "+", "a\0b")),
        {1: "no such task"},
        {0: 5},
    ],
)
def test_figures_that_cannot_be_are_refused(changes: dict[int, Any]) -> None:
    decode(row({}), "device-1")

    with pytest.raises(MalformedMessage, match=r"not a row|no such names"):
        decode(row(changes), "device-1")


@pytest.mark.parametrize(
    "result",
    [
        [[1, "an answer that nobody gave"], [], ""],
        [[1, "label"], [hop(confidence=INFINITE)], ""],
        [[1, "label"], [hop(agent="a/b")], ""],
        [[1, "label"], [hop()]],
        7,
    ],
)
def test_a_result_that_cannot_be_read_leaves_the_prompt_waiting(result: Any) -> None:
    read = decode(row({7: ["q", False]}, result), "device-1")

    assert read.result is None
    assert read.asker == ReplyTo("q")


def test_a_failure_needs_no_hop() -> None:
    read = decode(row({}, [[2, "model_failed", "it broke"], [], ""]), "device-1")

    assert read.result == Result(ID, Failure("model_failed", "it broke"))


@pytest.mark.parametrize(
    ("payload", "asker"),
    [
        (row({2: NAN, 7: ["q", True]}).payload, ReplyTo("q", revisions=True)),
        (msgspec.msgpack.encode(["a form", "of another day", ["q"]]), ReplyTo("q")),
        (row({2: NAN}).payload, None),
        (row({7: ["q", True]}).payload[:-4], None),
        (msgspec.msgpack.encode({"text": "q"}), None),
        (msgspec.msgpack.encode([]), None),
        (b"\xc1 no MessagePack", None),
        (b"", None),
    ],
)
def test_whoever_asked_is_found_in_a_row_that_cannot_be_read(
    payload: bytes, asker: ReplyTo | None
) -> None:
    assert asker_of(OutboxRow(ID, payload, None)) == asker
