"""What an agent says of itself, on the wire: strict where it is known, open to what is newer."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage
from shared.membership.status import (
    VERSION,
    Load,
    Reload,
    Status,
    decode_status,
    encode_status,
    name_labels,
)

STATUS = Status(
    "online",
    7,
    ("classify",),
    "m",
    labels=name_labels(["good", "bad"]),
    version=VERSION,
    bundle="0123456789ab",
    reload=Reload(3, "rolled back", "the file is missing"),
    confidence_kind="agreement",
)


def test_a_status_is_json_that_people_can_read() -> None:
    status = Status("online", 3, ("classify",), "m", Load(1.5, 10.0), heartbeat_s=5.0)
    encoded = msgspec.json.encode(status)
    assert encoded == (
        b'{"state":"online","epoch":3,"tasks":["classify"],"model":"m",'
        b'"load":{"wait_ms":1.5,"service_ms":10.0},"heartbeat_s":5.0}'
    )
    assert decode_status(encoded) == status


def test_a_status_comes_back_as_it_was() -> None:
    assert decode_status(encode_status(STATUS)) == STATUS


def test_a_status_of_before_labels_is_read() -> None:
    read = decode_status(b'{"state":"online","epoch":3,"tasks":["classify"],"model":"m"}')
    assert (read.version, read.labels) == (1, "")


def test_a_status_of_before_bundles_is_read() -> None:
    read = decode_status(b'{"state":"online","epoch":3,"model":"m","labels":"[]","version":2}')
    assert (read.version, read.bundle, read.reload) == (2, "", None)


def test_a_status_of_before_kinds_of_confidence_is_read_and_a_kind_of_tomorrow_too() -> None:
    read = decode_status(b'{"state":"online","epoch":3,"model":"m","version":3}')
    assert read.confidence_kind == ""
    told = msgspec.json.decode(encode_status(STATUS)) | {"confidence_kind": "entropy"}
    assert decode_status(msgspec.json.encode(told)).confidence_kind == "entropy"


def test_a_status_says_nothing_of_reloads_before_there_was_one() -> None:
    assert b"reload" not in encode_status(Status("online", 1))
    assert b"outcome" not in encode_status(Status("online", 1, reload=Reload(1)))


def test_what_a_newer_version_says_beyond_ours_is_passed_over() -> None:
    told = msgspec.json.decode(encode_status(STATUS))
    newer = told | {"version": VERSION + 1, "memory_mb": 512, "disks": ["sda"]}
    assert decode_status(msgspec.json.encode(newer)).model == "m"
    with pytest.raises(MalformedMessage, match="memory_mb"):
        decode_status(msgspec.json.encode(newer | {"version": VERSION}))


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 0},
        {"version": "2"},
        {"labels": "x" * 600},
        {"bundle": 7},
        {"confidence_kind": "x" * 33},
        {"reload": {"number": 0}},
        {"epoch": -1},
    ],
)
def test_a_status_that_is_not_right_is_refused(changed: dict[str, object]) -> None:
    told = msgspec.json.decode(encode_status(STATUS))
    with pytest.raises(MalformedMessage):
        decode_status(msgspec.json.encode(told | changed))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"offline",
        b"[]",
        b'{"state":"online"}',
        b'{"state":"asleep","epoch":1}',
        b'{"state":"online","epoch":1,"mood":"fine"}',
        b'{"state":"online","epoch":1,"tasks":["translate"]}',
        b'{"state":"online","epoch":1,"load":{"wait_ms":-1}}',
        b'{"state":"online","epoch":1,"load":{"wait_ms":NaN}}',
        b'{"state":"online","epoch":1,"heartbeat_s":0}',
        b'{"state":"online","epoch":1,"heartbeat_s":1e300}',
        b'{"state":"online","epoch":' + b"9" * 3_000 + b"}",
        b'{"state":"online","epoch":1,"model":"\xff"}',
        b'{"a":' * 500,
        b'{"state":"online","epoch":1,"model":"' + b"m" * 5_000 + b'"}',
    ],
    ids=lambda payload: payload[:40].decode(errors="replace"),
)
def test_a_status_that_is_not_exactly_right_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedMessage, match="status"):
        decode_status(payload)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_status_or_malformed(payload: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        assert decode_status(payload).state in ("online", "offline")
