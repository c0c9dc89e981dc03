"""What is sent at QoS 0: as much as may wait for the socket, and no more."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import paho.mqtt.client as paho

_MOST_BYTES: Final = 64 * 1024
"""Of hints that wait for the socket; what is published waits behind no more than these."""


class Hints:
    """The hints that were handed to the client, until they are out."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[paho.MQTTMessageInfo, int]] = deque()
        self._bytes = 0

    def have_room(self, size: int) -> bool:
        """Say whether one more, of ``size`` bytes, may wait."""
        while self._waiting and self._waiting[0][0].is_published():
            self._bytes -= self._waiting.popleft()[1]
        return self._bytes + size <= _MOST_BYTES

    def add(self, info: paho.MQTTMessageInfo, size: int) -> None:
        """Count one that was handed over."""
        self._waiting.append((info, size))
        self._bytes += size
