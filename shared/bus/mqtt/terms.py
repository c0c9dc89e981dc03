"""How one message is published, and what MQTT 5 is told of that."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_FOUR_BYTES: Final = 0xFFFF_FFFF


class Terms(NamedTuple):
    """How a message is published; see ``shared.bus.Bus``."""

    retain: bool = False
    expiry_s: float | None = None
    response_topic: str = ""
    correlation: bytes = b""

    def properties(self, version: int) -> Properties | None:
        """Return what goes into the packet besides; nothing before MQTT 5."""
        plain = self._replace(retain=False) == Terms()
        if plain or version < 5:  # noqa: PLR2004 - MQTT 5 and later
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves it
        if self.expiry_s is not None:
            expiry_s = math.ceil(min(max(1, self.expiry_s), _FOUR_BYTES))
            properties.MessageExpiryInterval = expiry_s
        if self.response_topic:
            properties.ResponseTopic = self.response_topic
        if self.correlation:
            properties.CorrelationData = self.correlation
        return properties
