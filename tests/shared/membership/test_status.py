"""What an agent says of itself, on the wire: strict where it is known, open to what is newer."""

from __future__ import annotations

import msgspec
import pytest

from shared.errors import MalformedMessage
from shared.membership.status import (
    VERSION,
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
)


def test_a_status_comes_back_as_it_was() -> None:
    assert decode_status(encode_status(STATUS)) == STATUS


def test_a_status_of_before_labels_is_read() -> None:
    read = decode_status(b'{"state":"online","epoch":3,"tasks":["classify"],"model":"m"}')
    assert (read.version, read.labels) == (1, "")


def test_a_status_of_before_bundles_is_read() -> None:
    read = decode_status(b'{"state":"online","epoch":3,"model":"m","labels":"[]","version":2}')
    assert (read.version, read.bundle, read.reload) == (2, "", None)


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
        {"reload": {"number": 0}},
        {"epoch": -1},
    ],
)
def test_a_status_that_is_not_right_is_refused(changed: dict[str, object]) -> None:
    told = msgspec.json.decode(encode_status(STATUS))
    with pytest.raises(MalformedMessage):
        decode_status(msgspec.json.encode(told | changed))
