"""What a message puts on a link: the size of its MQTT PUBLISH packet at QoS 1.

Counted are the fixed header, the topic, the packet identifier and the payload, as MQTT 3.1.1 lays
them out; not acknowledgements, nor what TCP, TLS and IP add below.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEVEN_BITS = 0x80


def packet_bytes(topic: str, payload: bytes) -> int:
    """Return the bytes of the PUBLISH packet that carries ``payload`` on ``topic`` at QoS 1."""
    remaining = 2 + len(topic.encode()) + 2 + len(payload)
    header, rest = 2, remaining // _SEVEN_BITS
    while rest:
        header += 1
        rest //= _SEVEN_BITS
    return header + remaining


def link(lower: str, upper: str) -> str:
    """Return the name of the link between two tiers, as metrics and reports write it."""
    return f"{lower}-{upper}"


def links(tiers: Sequence[str]) -> list[str]:
    """Return the links that a result crosses on its way down through ``tiers``, lowest first."""
    return [link(lower, upper) for lower, upper in itertools.pairwise(tiers)]
