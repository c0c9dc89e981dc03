"""What travels between agents: golden payloads, budgets, and refusal of everything else."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage, OtherVersion
from shared.messages import Failure, Hop, Prompt, Provenance, Result
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from shared.tasks.tag import Entities, Span
from shared.wire.codec import (
    PAYLOAD_BYTES,
    Notice,
    decode_prompt,
    decode_result,
    encode_notice,
    encode_prompt,
    encode_result,
)
from shared.wire.topics import NAME_BYTES, PromptAddress

if TYPE_CHECKING:
    from shared.tasks import Task

GOLDEN = Path(__file__).parents[2] / "golden"
ID = UUID("01234567-89ab-4def-8123-456789abcdef")
DEVICE_HOP = Hop("device", "device-1", 0.625, 0.75, 1_234)
EDGE_HOP = Hop("edge", "edge-1", 0.5, 0.875, 56_789)
CLOUD_HOP = Hop("cloud", "cloud-1", 1.0, 0.25, 98_765)
REMEMBERED = Provenance("memory", "sentiment-cloud", "f00d", (7,))

PROMPTS = {
    "prompt-from-device": Prompt(ID, "device-1", "classify", "the valve sticks", 30, (DEVICE_HOP,)),
    "prompt-from-edge": Prompt(
        ID,
        "device-1",
        "classify",
        "das Ventil klemmt – schon wieder",
        12.5,
        (DEVICE_HOP, EDGE_HOP),
        sender="edge-1",
    ),
    "prompt-with-copy": Prompt(
        ID, "device-1", "classify", "the valve sticks", 30, (DEVICE_HOP,), copy=True
    ),
    "prompt-with-options": Prompt(
        ID,
        "device-1",
        "generate",
        "What sticks?",
        30,
        (DEVICE_HOP,),
        options={"max_new_tokens": 32, "stop": ["\n"], "json_schema": {"type": "string"}},
    ),
    "prompt-sourced": Prompt(
        ID, "device-1", "classify", "the valve sticks", 30, (DEVICE_HOP,), sourced=True
    ),
    "prompt-sourced-with-options": Prompt(
        ID,
        "device-1",
        "generate",
        "What sticks?",
        30,
        (DEVICE_HOP,),
        options={"max_new_tokens": 32},
        sourced=True,
    ),
}
RESULTS = {
    "result-from-edge": Result(ID, Label("negative"), (EDGE_HOP,)),
    "result-from-cloud": Result(ID, Label("positive"), (EDGE_HOP, CLOUD_HOP)),
    "result-degraded": Result(ID, Label("negative"), (EDGE_HOP,), "no cloud agent took the prompt"),
    "result-with-entities": Result(
        ID, Entities((Span("PART", 4, 9, 0.75), Span("PLACE", 20, 28, 0.5))), (EDGE_HOP,)
    ),
    "result-with-text": Result(
        ID, Completion("Das Ventil klemmt.", "length", 17, 6, prompt_cut=True), (CLOUD_HOP,)
    ),
    "result-remembered": Result(
        ID, Label("negative"), (DEVICE_HOP, msgspec.structs.replace(EDGE_HOP, source=REMEMBERED))
    ),
    "result-failed": Result(ID, Failure("model_failed", "ValueError: no such token"), (EDGE_HOP,)),
}

NOTICES = {
    "notice-busy": Notice("busy", "edge-1"),
    "notice-working": Notice("working", "edge-1"),
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.msgpack").read_bytes()


def read_prompt(payload: bytes, sender: str = "device-1", task: Task = "classify") -> Prompt:
    return decode_prompt(payload, address(sender, task), now_s=0.0)


def address(sender: str = "device-1", task: Task = "classify") -> PromptAddress:
    return PromptAddress("cloud-1", task, "device-1", sender)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_golden_prompt_means_what_it_meant_and_is_written_as_it_was(name: str) -> None:
    prompt = PROMPTS[name]
    assert read_prompt(golden(name), prompt.sender, prompt.task) == prompt
    assert encode_prompt(PROMPTS[name], now_s=0.0) == golden(name)


@pytest.mark.parametrize("name", RESULTS)
def test_a_golden_result_means_what_it_meant_and_is_written_as_it_was(name: str) -> None:
    assert decode_result(golden(name)) == RESULTS[name]
    assert encode_result(RESULTS[name], known_hops=0, sourced=True) == golden(name)


@pytest.mark.parametrize("name", NOTICES)
def test_a_golden_notice_means_what_it_meant_and_is_written_as_it_was(name: str) -> None:
    notice = NOTICES[name]
    assert decode_result(golden(name)) == (ID, notice)
    assert encode_notice(ID, notice.code, notice.agent) == golden(name)


def test_every_golden_payload_is_held_by_a_test() -> None:
    names = {file.stem for file in GOLDEN.glob("*.msgpack")}
    assert names == {*PROMPTS, *RESULTS, *NOTICES, "notice-busy-of-version-1"}


def test_a_result_leaves_out_the_hops_its_reader_made() -> None:
    result = Result(ID, Label("positive"), (DEVICE_HOP, EDGE_HOP))
    read = decode_result(encode_result(result, known_hops=1))
    assert isinstance(read, Result)
    assert read.hops == (EDGE_HOP,)


def test_a_prompt_costs_no_more_for_asking_where_its_answer_is_from() -> None:
    for name in ("prompt-sourced", "prompt-from-device"):
        assert len(golden(name)) == len(golden("prompt-from-device"))


def test_who_cannot_read_what_an_answer_is_from_gets_it_as_ever() -> None:
    sourced = RESULTS["result-remembered"]
    edge_hop = msgspec.structs.replace(sourced.hops[-1], source=None)
    plain = msgspec.structs.replace(sourced, hops=(DEVICE_HOP, edge_hop))

    assert encode_result(sourced, known_hops=0) == encode_result(plain, known_hops=0)


@pytest.mark.parametrize(
    "wrong",
    [
        [3, ID.bytes, [1, "negative"], [], "", ["memory", "m", "", [7]]],
        [3, ID.bytes, [1, "negative"], [["edge", "edge-1", 1, 1, 1]], ""],
        [3, ID.bytes, [1, "negative"], [["edge", "edge-1", 1, 1, 1]], "", ["dream", "m", "", [7]]],
        [
            3,
            ID.bytes,
            [1, "negative"],
            [["edge", "edge-1", 1, 1, 1]],
            "",
            ["memory", "m", "", [-1]],
        ],
    ],
)
def test_a_source_that_is_none_is_refused(wrong: list[Any]) -> None:
    with pytest.raises(MalformedMessage):
        decode_result(msgspec.msgpack.encode(wrong))


def test_the_remaining_time_is_moved_to_the_readers_clock() -> None:
    prompt = msgspec.structs.replace(PROMPTS["prompt-from-device"], deadline_s=1_000_030.0)
    payload = encode_prompt(prompt, now_s=1_000_010.0)
    read = decode_prompt(payload, address(), now_s=500.0)
    assert read.deadline_s == pytest.approx(520.0, abs=0.002)


@pytest.mark.parametrize("deadline_s", [-5.0, 1e9, 1e308, float("inf")])
def test_a_deadline_out_of_reach_still_fits(deadline_s: float) -> None:
    prompt = msgspec.structs.replace(PROMPTS["prompt-from-device"], deadline_s=deadline_s)
    assert read_prompt(encode_prompt(prompt, now_s=0.0)).deadline_s >= 0


@given(st.floats(0, 1), st.floats(0, 1))
def test_confidences_keep_nine_digits(confidence: float, threshold: float) -> None:
    hop = Hop("edge", "edge-1", confidence, threshold, 1)
    read = decode_result(encode_result(Result(ID, Label("x"), (hop,)), known_hops=0))
    assert isinstance(read, Result)
    assert read.hops[0].confidence == pytest.approx(confidence, abs=1e-9)
    assert read.hops[0].threshold == pytest.approx(threshold, abs=1e-9)


# -- the budgets -------------------------------------------------------------------------------


def worst(tier: str, agent: str) -> Hop:
    """A hop whose numbers are as long as numbers get."""
    return Hop(tier, agent, 0.987654321, 1.0, 10**12)


@pytest.mark.parametrize("text", ["ok", "a sentence of usual length, like this one", "ä" * 30_000])
def test_a_first_escalation_costs_at_most_64_bytes_beyond_the_text(text: str) -> None:
    prompt = Prompt(ID, "device-1", "classify", text, 1e12, (worst("device", "device-1"),))
    assert len(encode_prompt(prompt, 0.0)) - len(text.encode()) <= 64


def test_a_further_hop_costs_at_most_32_bytes() -> None:
    first = PROMPTS["prompt-from-device"]
    for hop in (worst("edge", "edge-1"), worst("cloud", "cloud-12"), worst("sky", "sky-1")):
        longer = first.after(hop)
        assert len(encode_prompt(longer, 0.0)) - len(encode_prompt(first, 0.0)) <= 32
        first = longer


def test_neither_the_origin_nor_the_sender_is_named_in_the_payload() -> None:
    payload = encode_prompt(PROMPTS["prompt-from-edge"], 0.0)
    assert b"device-1" not in payload
    assert b"edge-1" not in payload


def test_a_last_hop_in_anothers_name_does_not_change_who_sent_the_prompt() -> None:
    claimed = Prompt(ID, "device-1", "classify", "x", 30, (Hop("edge", "edge-9", 0.5, 0.6, 1),))
    read = read_prompt(encode_prompt(claimed, 0.0))
    assert read.hops[-1].agent == "edge-9"
    assert read.sender == "device-1"


def test_the_longest_names_are_the_only_thing_that_costs_more() -> None:
    name = "n" * NAME_BYTES
    prompt = Prompt(ID, name, "classify", "", 1e12, (worst(name, name), worst(name, name)))
    # Tier of each hop, and no agent: both are the origin. Two bytes of header for a long name.
    assert len(encode_prompt(prompt, 0.0)) <= 64 + 32 + 2 * (NAME_BYTES + 1)


def test_the_answer_to_a_sentence_is_smaller_than_the_sentence_was() -> None:
    payload = encode_result(Result(ID, Label("negative"), (EDGE_HOP,)), known_hops=0)
    assert len(payload) < 64


# -- refusals ----------------------------------------------------------------------------------


def altered(name: str, change: Any) -> bytes:
    tree = msgspec.msgpack.decode(golden(name))
    change(tree)
    return msgspec.msgpack.encode(tree)


BAD_PROMPTS: dict[str, bytes] = {
    "empty": b"",
    "another version": altered("prompt-from-device", lambda t: t.__setitem__(0, 2)),
    "options of no name": altered("prompt-with-options", lambda t: t.__setitem__(6, {})),
    "options that are none": altered("prompt-with-options", lambda t: t.__setitem__(6, [1])),
    "options by number": altered("prompt-with-options", lambda t: t.__setitem__(6, {1: 2})),
    "options in version 1": altered("prompt-with-options", lambda t: t.__setitem__(0, 1)),
    "no options in version 2": altered("prompt-with-options", lambda t: t.pop()),
    "options so deep": golden("prompt-with-options")[:-20] + b"\x91" * 100_000,
    "version zero": altered("prompt-from-device", lambda t: t.__setitem__(0, 0)),
    "version as text": altered("prompt-from-device", lambda t: t.__setitem__(0, "1")),
    "extra field": altered("prompt-from-device", lambda t: t.append(None)),
    "missing field": altered("prompt-from-device", lambda t: t.pop()),
    "extra field in a hop": altered("prompt-from-device", lambda t: t[4][0].append(1)),
    "short id": altered("prompt-from-device", lambda t: t.__setitem__(1, b"123")),
    "negative time": altered("prompt-from-device", lambda t: t.__setitem__(2, -1)),
    "endless time": altered("prompt-from-device", lambda t: t.__setitem__(2, 1 << 40)),
    "text as bytes": altered("prompt-from-device", lambda t: t.__setitem__(3, b"abc")),
    "nine hops": altered("prompt-from-device", lambda t: t[4].extend(t[4] * 8)),
    "confidence above one": altered("prompt-from-device", lambda t: t[4][0].__setitem__(2, 2**30)),
    "hop without tier": altered("prompt-from-device", lambda t: t[4][0].__setitem__(0, "")),
    "hop named with a wildcard": altered("prompt-from-edge", lambda t: t[4][0].__setitem__(1, "+")),
    "hop named as a path": altered("prompt-from-edge", lambda t: t[4][0].__setitem__(1, "a/b")),
    "name too long": altered("prompt-from-edge", lambda t: t[4][0].__setitem__(1, "é" * 60)),
    "two payloads": golden("prompt-from-device") * 2,
    "a map": msgspec.msgpack.encode({"version": 1}),
    "text that is no UTF-8": golden("prompt-from-device").replace(
        b"valve", b"\xff\xfe\xfd\xfc\xfb"
    ),
    "deep": b"\x91" * 100_000 + b"\xc0",
    "an array that claims to be huge": b"\x96\x01\xdd\xff\xff\xff\xff",
    "a text that claims to be huge": golden("prompt-from-device")[:20] + b"\xdb\xff\xff\xff\xff",
    "JSON": b'[1, "01234567-89ab-4def-8123-456789abcdef", 30000, "text", []]',
}


@pytest.mark.parametrize("payload", BAD_PROMPTS.values(), ids=BAD_PROMPTS)
def test_a_prompt_that_is_not_exactly_right_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"prompt|hop"):
        read_prompt(payload)


BAD_RESULTS: dict[str, bytes] = {
    "another version": altered("result-from-edge", lambda t: t.__setitem__(0, 2)),
    "extra field": altered("result-from-edge", lambda t: t.append(1)),
    "extra field in the answer": altered("result-from-edge", lambda t: t[2].append(1)),
    "extra field in the failure": altered("result-failed", lambda t: t[2].append(1)),
    "extra field in the notice": altered("notice-busy", lambda t: t[2].append(1)),
    "unknown outcome": altered("result-from-edge", lambda t: t[2].__setitem__(0, 9)),
    "a span that ends before all": altered(
        "result-with-entities", lambda t: t[2][1][0].__setitem__(2, -1)
    ),
    "a span surer than sure": altered(
        "result-with-entities", lambda t: t[2][1][0].__setitem__(3, 2.0)
    ),
    "a text that ends somehow": altered("result-with-text", lambda t: t[2].__setitem__(2, "so")),
    "hop without agent": altered("result-from-edge", lambda t: t[3][0].__setitem__(1, "")),
    "a prompt": golden("prompt-from-device"),
}


@pytest.mark.parametrize("payload", BAD_RESULTS.values(), ids=BAD_RESULTS)
def test_a_result_that_is_not_exactly_right_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"result|hop"):
        decode_result(payload)


@pytest.mark.parametrize(
    "payload",
    [
        golden("notice-busy-of-version-1"),
        altered("notice-busy", lambda t: t.__setitem__(0, 1)),
        altered("notice-busy", lambda t: t.__setitem__(0, 4)),
        altered("result-from-edge", lambda t: t.__setitem__(0, 2)),
        altered("result-from-edge", lambda t: t.__setitem__(0, 7)),
        altered("prompt-from-device", lambda t: t.__setitem__(0, 9)),
    ],
)
def test_what_another_version_wrote_is_refused_as_such(payload: bytes) -> None:
    read = decode_result if payload[1:2] != b"\x09" else read_prompt
    with pytest.raises(OtherVersion, match="version"):
        read(payload)


@pytest.mark.parametrize("name", [*PROMPTS, *RESULTS, *NOTICES])
def test_every_truncation_is_refused(name: str) -> None:
    whole = golden(name)
    for length in range(len(whole)):
        with pytest.raises(MalformedMessage):
            read_prompt(whole[:length])
        with pytest.raises(MalformedMessage):
            decode_result(whole[:length])


def test_a_payload_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedMessage, match=f"exceeds {PAYLOAD_BYTES}"):
        decode_result(bytes(PAYLOAD_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(payload: bytes) -> None:
    for read in (read_prompt, decode_result):
        with contextlib.suppress(MalformedMessage):
            read(payload)


def test_any_damage_to_a_good_message_leaves_a_message_or_something_malformed() -> None:
    draw = random.Random(11)
    for name in [*PROMPTS, *RESULTS, *NOTICES]:
        for _ in range(1_500):
            damaged = bytearray(golden(name))
            for _ in range(draw.randint(1, 3)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            for read in (read_prompt, decode_result):
                with contextlib.suppress(MalformedMessage):
                    read(bytes(damaged))
