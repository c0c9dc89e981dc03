"""An agent's line to the broker: delay, bandwidth and loss, one direction each.

MQTT runs over TCP, so nothing is lost and nothing overtakes: a lost packet costs the time until it
is sent again, 200 ms or two round trips at first (Linux's least retransmission timeout), then twice
that each time, up to two minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from experiments.simulator.clock import SimulatedClock

_RETRANSMIT_S: Final = 0.2
_LONGEST_S: Final = 120.0
_PACKET_BYTES: Final = 1460


class LinkFacts(NamedTuple):
    """One way: ``delay_s``, ``bytes_s`` (0: no limit), and the share of packets lost."""

    delay_s: float = 0.0
    bytes_s: float = 0.0
    loss: float = 0.0


class Link:
    """One direction of one connection."""

    def __init__(self, clock: SimulatedClock, facts: LinkFacts, draw: random.Random) -> None:
        self._clock = clock
        self._facts = facts
        self._draw = draw
        self._free_s = 0.0
        self._last_s = 0.0

    def send(self, size: int, arrived: Callable[..., None], *args: Any) -> None:
        """Call ``arrived`` when the last byte is there."""
        facts = self._facts
        begin_s = max(self._clock.now_s, self._free_s)
        self._free_s = begin_s + (size / facts.bytes_s if facts.bytes_s else 0.0)
        there_s = self._free_s + facts.delay_s + self._lost_s(size)
        self._last_s = max(there_s, self._last_s)
        self._clock.at(self._last_s, arrived, *args)

    def _lost_s(self, size: int) -> float:
        """Return how much later the last packet of a message comes because some were lost."""
        loss = self._facts.loss
        packets = -(-size // _PACKET_BYTES) if loss else 0
        latest_s = 0.0
        for _ in range(packets):
            wait_s, lost_s = max(_RETRANSMIT_S, 4 * self._facts.delay_s), 0.0
            while self._draw.random() < loss:
                lost_s += wait_s
                wait_s = min(2 * wait_s, _LONGEST_S)
            latest_s = max(latest_s, lost_s)
        return latest_s
