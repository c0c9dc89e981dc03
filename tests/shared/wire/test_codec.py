"""What travels between agents: golden payloads, budgets, and refusal of everything else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.codec import (
    decode_prompt,
    decode_result,
    encode_notice,
    encode_prompt,
    encode_result,
)
from shared.wire.topics import NAME_BYTES
from tests.support.golden import (
    DEVICE_HOP,
    EDGE_HOP,
    GOLDEN,
    ID,
    NOTICES,
    PROMPTS,
    RESULTS,
    address,
    golden,
    read_prompt,
)


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
