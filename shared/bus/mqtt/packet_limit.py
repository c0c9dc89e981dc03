"""How large a packet a broker carries: what it said, what settings say, or what it taught us.

Many brokers end the connection of whoever sends more, and with it all else that is under way. A
broker of MQTT 5 says its limit when we connect. Of others it is a setting; and where that is too
high, two connections in a row that end at once under a large message are word enough. Pure.
"""

from __future__ import annotations

from typing import Final

from shared.errors import TooLarge

LARGE_BYTES: Final = 16 * 1024
"""A smaller message is never suspected: connections end for other reasons, too."""
FORGOTTEN_S: Final = 600.0
HEADER_BYTES: Final = 32
"""What a packet has at most besides its topic, its payload and its correlation data."""


class PacketLimit:
    """What one client knows of its broker's limit."""

    def __init__(self, assumed_bytes: int) -> None:
        """Assume a limit for brokers that do not say one."""
        self._assumed_bytes = assumed_bytes
        self._said_bytes: int | None = None
        self._suspected: dict[int, int] = {}
        self._learned_bytes: int | None = None
        self._learned_s = 0.0
        self._connection = 0

    def connected(self, said_bytes: int | None) -> None:
        """Begin with a new connection, whose broker said its limit or did not."""
        self._said_bytes = said_bytes
        self._connection += 1

    def check(self, topic: str, payload: bytes, now_s: float, *, more_bytes: int = 0) -> int:
        """Return the size of a packet, or raise ``TooLarge``."""
        size = HEADER_BYTES + len(topic.encode()) + len(payload) + more_bytes
        limit = self._limit_bytes(now_s)
        if size > limit:
            raise TooLarge(
                f"a message of {len(payload)} bytes on {topic!r} does not fit the broker's limit "
                f"of {limit} bytes a packet",
                over_bytes=size - limit,
            )
        return size

    def took(self, size: int) -> None:
        """Take note of a packet that the broker acknowledged."""
        self._suspected = {on: under for on, under in self._suspected.items() if under > size}
        if self._learned_bytes is not None and size > self._learned_bytes:
            self._learned_bytes = None

    def lost(self, size: int, now_s: float) -> None:
        """Take note of a packet under which the connection ended at once."""
        if self._said_bytes is not None or size < LARGE_BYTES:
            return
        before = self._suspected.get(self._connection - 1)
        largest = max(size, self._suspected.get(self._connection, 0))
        self._suspected = {self._connection: largest}
        if before is not None:
            self._suspected[self._connection - 1] = before
            self._learned_bytes, self._learned_s = min(before, largest) - 1, now_s

    def _limit_bytes(self, now_s: float) -> int:
        if self._said_bytes is not None:
            return self._said_bytes
        if self._learned_bytes is None or now_s - self._learned_s > FORGOTTEN_S:
            return self._assumed_bytes
        return min(self._learned_bytes, self._assumed_bytes)
