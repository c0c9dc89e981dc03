"""The proxy's view of MQTT: every byte accounted for, whatever pieces it comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.frames import Frame, Packets

# PUBLISH, QoS 1, topic "a/b", packet identifier 7, payload "hi".
PUBLISH = b"\x32\x09\x00\x03a/b\x00\x07hi"
PINGREQ = b"\xc0\x00"


def lengths(size: int) -> bytes:
    """Return MQTT's variable byte integer."""
    encoded = b""
    while True:
        size, low = divmod(size, 128)
        encoded += bytes([low | (0x80 if size else 0)])
        if not size:
            return encoded


def test_a_message_is_known_and_can_be_acknowledged_or_repeated() -> None:
    (packet,) = Packets().feed(PUBLISH)
    assert packet.is_message
    assert packet.acknowledgement() == b"\x40\x02\x00\x07"
    assert packet.again() == b"\x3a" + PUBLISH[1:]


def test_what_is_no_message_at_qos_1_is_left_alone() -> None:
    assert not Frame(PINGREQ, 2).is_message
    assert not Frame(b"\x30\x05\x00\x03a/b", 2).is_message, "QoS 0"


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=8), st.integers(1, 5_000))
def test_packets_come_out_whole_whatever_pieces_went_in(sizes: list[int], piece: int) -> None:
    sent = [b"\x30" + lengths(size) + bytes(size) for size in sizes]
    stream, packets = b"".join(sent), Packets()
    got = [
        packet.raw
        for start in range(0, len(stream), piece)
        for packet in packets.feed(stream[start : start + piece])
    ]
    assert got == sent


def test_bytes_that_are_no_mqtt_are_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="not MQTT"):
        list(Packets().feed(b"\x30\xff\xff\xff\xff\xff"))
