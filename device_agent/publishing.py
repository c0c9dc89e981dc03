"""Publishing that does not give up: for what somebody waits for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shared.errors import NotConnected, Refused
from shared.log import get_logger

if TYPE_CHECKING:
    from shared.bus import Bus

_log = get_logger()
_CONNECT_S = 5.0


async def publish_until_taken(
    bus: Bus, topic: str, payload: bytes, *, retain: bool = False
) -> bool:
    """Publish until the broker has it: a lost connection comes back.

    False when the broker refused it, which it will again; that is logged.
    """
    while True:
        with contextlib.suppress(NotConnected):
            await bus.wait_connected(_CONNECT_S)
            return await _taken(bus, topic, payload, retain)


async def _taken(bus: Bus, topic: str, payload: bytes, retain: bool) -> bool:
    try:
        await bus.publish(topic, payload, retain=retain)
    except Refused as error:
        _log.error("answer refused", topic=topic, reason=str(error))
        return False
    return True
