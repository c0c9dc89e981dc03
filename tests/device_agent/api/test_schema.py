"""What a question may be, and what an answer looks like."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.api.schema import Ask, read_ask, write_answer
from shared.errors import InvalidPrompt
from shared.messages import Failure, Hop, Result
from shared.tasks.classify import Label

ID = UUID(int=7)
HOPS = (Hop("device", "device-1", 0.1234567, 0.7, 1_500), Hop("edge", "edge-1", 0.9, 0.2, 40_000))


def test_anything_that_is_no_json_object_is_the_prompt_itself() -> None:
    for text in ("the valve sticks", "[1, 2]", '"quoted"', "größer – als?", "12", ""):
        assert read_ask(text.encode()) == Ask(text)


def test_a_json_object_carries_text_and_wishes() -> None:
    asked = read_ask(b' \n{"text": "hello", "id": "a-1", "task": "tag", "timeout_s": 2}')
    assert asked == Ask("hello", "a-1", "tag", 2.0)
    assert read_ask(b'{"text": "hello", "priority": -3}').priority == -3
    assert read_ask(b'{"text": "a", "options": {"seed": 1}}').options == {"seed": 1}


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"{", "begins like JSON but is none"),
        (b'{"text": "a"} and more', "begins like JSON but is none"),
        (b'{"text": NaN}', "begins like JSON but is none"),
        (b"{}", "no text, and no id"),
        (b'{"text": 5}', "Expected `str | null`"),
        (b'{"text": null}', "no text, and no id"),
        (b'{"text": "a", "id": true}', "Expected `int | str | null`"),
        (b'{"text": "a", "id": 1.5}', "Expected `int | str | null`"),
        (b'{"text": "a", "id": ""}', "length >= 1"),
        (b'{"text": "a", "id": 9223372036854775808}', "<= 9223372036854775807"),
        (b'{"text": "a", "id": -1234567890123456789012}', ">= -9223372036854775808"),
        (b'{"text": "a", "id": "' + b"x" * 200 + b'"}', "length <= 128"),
        (b'{"text": "a", "timeout_s": 0}', "> 0"),
        (b'{"text": "a", "timeout_s": -1}', "> 0"),
        (b'{"text": "a", "timeout_s": 1e999}', "out of range"),
        (b'{"text": "a", "timeout_s": "soon"}', "Expected `float | null`"),
        (b'{"text": "a", "priority": "high"}', "Expected `int`"),
        (b'{"text": "a", "options": ["seed"]}', "Expected `object`"),
        (b'{"text": "a", "mood": 1}', "unknown field `mood`"),
        (b'{"text": ' + b"[" * 100_000, "Expected `str | null`"),
        (b'{"text": "\\ud800"}', "begins like JSON but is none"),
        (b'{"text": "\xff"}', "UTF-8"),
        (b"\xff\xfe", "not UTF-8"),
    ],
    ids=lambda value: value[:30].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_a_question_that_does_not_fit_is_refused_with_its_fault(payload: bytes, fault: str) -> None:
    with pytest.raises(InvalidPrompt, match=re.escape(fault)):
        read_ask(payload)


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda rest: b"{" + rest))
def test_any_bytes_are_a_question_or_refused(payload: bytes) -> None:
    try:
        asked = read_ask(payload)
    except InvalidPrompt:
        return
    assert asked.text is not None or asked.id is not None


def test_of_two_equal_keys_the_last_counts() -> None:
    assert read_ask(b'{"text": "a", "text": "b"}') == Ask("b")


def test_an_asker_may_use_its_ids_again_for_other_questions() -> None:
    first, repeat, second = Ask("a", "1"), Ask("a", "1"), Ask("b", "1")
    assert first.prompt_id("device-1") == repeat.prompt_id("device-1")
    assert first.prompt_id("device-1") != second.prompt_id("device-1")
    assert first.prompt_id("device-1") != first.prompt_id("device-2")
    assert first.prompt_id("device-1") != Ask("a", "1", "tag").prompt_id("device-1")
    assert Ask("a").prompt_id("device-1") != Ask("a").prompt_id("device-1")


def test_a_question_with_other_options_is_another_and_their_order_is_none() -> None:
    plain, one, other = (Ask("a", "1", options=o) for o in ({}, {"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one.prompt_id("device-1") == other.prompt_id("device-1")
    assert one.prompt_id("device-1") != plain.prompt_id("device-1")
    assert plain.prompt_id("device-1") == Ask("a", "1").prompt_id("device-1")


def test_an_answer_says_what_who_and_why() -> None:
    result = Result(ID, Label("positive"), HOPS, degraded="no cloud agent took the prompt")
    assert write_answer(result, echo="a-1", elapsed_s=0.0123456) == {
        "id": "a-1",
        "label": "positive",
        "confidence": 0.9,
        "tier": "edge",
        "agent": "edge-1",
        "degraded": "no cloud agent took the prompt",
        "elapsed_ms": 12.346,
        "hops": [
            {
                "tier": "device",
                "agent": "device-1",
                "confidence": 0.123457,
                "threshold": 0.7,
                "elapsed_ms": 1.5,
            },
            {
                "tier": "edge",
                "agent": "edge-1",
                "confidence": 0.9,
                "threshold": 0.2,
                "elapsed_ms": 40.0,
            },
        ],
    }


def test_a_failure_says_why_and_nothing_else() -> None:
    result = Result(ID, Failure("busy", "too much to do"))
    assert write_answer(result, echo=None, elapsed_s=0.0) == {
        "id": str(ID),
        "error": "busy",
        "reason": "too much to do",
        "elapsed_ms": 0.0,
        "hops": [],
    }


def test_people_are_told_how_sure_the_model_is_and_a_hop_what_routing_went_by() -> None:
    hop = Hop("device", "device-1", 0.1234567, 0.7, 1_500, "agreement", 0.97)

    answer = write_answer(Result(ID, Label("positive"), (hop,)), echo="a-1", elapsed_s=0.01)

    assert (answer["confidence"], answer["confidence_kind"]) == (0.97, "max_probability")
    assert answer["hops"][0] == {
        "tier": "device",
        "agent": "device-1",
        "confidence": 0.123457,
        "confidence_kind": "agreement",
        "probability": 0.97,
        "threshold": 0.7,
        "elapsed_ms": 1.5,
    }


def test_an_answer_whose_own_agent_goes_by_a_head_says_that_its_number_is_the_heads() -> None:
    above = Hop("edge", "edge-1", 0.9, 0.2, 40_000, "agreement")

    answer = write_answer(Result(ID, Label("positive"), (*HOPS[:1], above)), echo=1, elapsed_s=0.0)

    assert (answer["confidence"], answer["confidence_kind"]) == (0.9, "agreement")
    assert "probability" not in answer["hops"][1]
