"""Publishing that does not give up: for what somebody waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from shared.bus.mqtt.packet_limit import LARGE_BYTES
from shared.errors import LostAtOnce, NotConnected, NotNow, RecServeError, Refused
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.bus import Bus, Published

_log = get_logger()
_CONNECT_S: Final = 5.0
_NOT_NOW_S: Final = 1.0
_NOT_NOW_MAX_S: Final = 30.0
_BREAKS: Final = 2
_BREAKS_OF_SMALL: Final = 10
"""Connections end for other reasons than a small message, several times in a row, too."""


async def publish_until_taken(
    bus: Bus, topic: str, payload: bytes, *, retain: bool = False, correlation: bytes = b""
) -> Published | None:
    """Publish until the broker has it: a lost connection comes back, and so does a quota.

    None when the broker refused it, which it will again, or when the connection ended under it
    twice in a row and might a third time (ten times, if it is small); that is logged.
    """
    breaks, pause_s = 0, _NOT_NOW_S
    most = _BREAKS if len(payload) >= LARGE_BYTES else _BREAKS_OF_SMALL
    while True:
        if not await _connected(bus):
            continue
        try:
            return await bus.publish(topic, payload, retain=retain, correlation=correlation)
        except LostAtOnce as error:
            breaks += 1
            if breaks == most:
                _log.error("message given up", topic=topic, bytes=len(payload), reason=str(error))
                return None
        except NotConnected:
            breaks = 0
        except NotNow as error:
            _log.warning("message put off", topic=topic, reason=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _NOT_NOW_MAX_S)
        except Refused as error:
            _log.error("message refused", topic=topic, bytes=len(payload), reason=str(error))
            return None


async def _connected(bus: Bus) -> bool:
    """Wait for a connection; why there is none is said by whoever makes them."""
    try:
        await bus.wait_connected(_CONNECT_S)
    except RecServeError:
        return False
    return True
