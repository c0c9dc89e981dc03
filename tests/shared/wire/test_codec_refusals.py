"""What is no message of ours is refused, whatever it is."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage, OtherVersion
from shared.wire.codec import (
    PAYLOAD_BYTES,
    decode_result,
)
from tests.support.golden import (
    ID,
    NOTICES,
    PROMPTS,
    RESULTS,
    golden,
    read_prompt,
)


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
