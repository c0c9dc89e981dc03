"""MQTT packets in a stream of bytes: enough to take messages out and to put them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PUBLISH: Final = 3
_DUP: Final = 0x08
_LENGTH_BYTES: Final = 4


class Frame(NamedTuple):
    """One whole MQTT packet, byte for byte; ``body`` is where its variable header begins."""

    raw: bytes
    body: int

    @property
    def is_message(self) -> bool:
        """Whether it is a PUBLISH at QoS 1."""
        return self.raw[0] >> 4 == _PUBLISH and (self.raw[0] >> 1) & 3 == 1

    def again(self) -> bytes:
        """Return the same PUBLISH marked as sent before."""
        return bytes([self.raw[0] | _DUP]) + self.raw[1:]

    def acknowledgement(self) -> bytes:
        """Return the PUBACK for this PUBLISH; the short form is the same in 3.1.1 and 5."""
        topic_bytes = int.from_bytes(self.raw[self.body : self.body + 2], "big")
        identifier = self.body + 2 + topic_bytes
        return b"\x40\x02" + self.raw[identifier : identifier + 2]


class Packets:
    """Cuts a stream into packets, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Yield the packets that are whole now."""
        self._held += piece
        while packet := _first(self._held):
            self._held = self._held[len(packet.raw) :]
            yield packet


def _first(held: bytes) -> Frame | None:
    length, shift = 0, 0
    for place in range(1, 1 + _LENGTH_BYTES):
        if place >= len(held):
            return None
        length |= (held[place] & 0x7F) << shift
        shift += 7
        if not held[place] & 0x80:
            end = place + 1 + length
            return Frame(held[:end], place + 1) if len(held) >= end else None
    raise ValueError("not MQTT: a packet without a length")
