"""An agent's line to the broker: delay, bandwidth and loss, one direction each.

MQTT runs over TCP, so nothing is lost and nothing overtakes: a lost packet costs the time until it
is sent again, 200 ms or two round trips at first (Linux's least retransmission timeout), then twice
that each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from planning.clock import Clock

_RETRANSMIT_S: Final = 0.2


class LineFacts(NamedTuple):
    """One way: ``delay_s``, ``bytes_s`` (0: no limit), and the share of packets lost."""

    delay_s: float = 0.0
    bytes_s: float = 0.0
    loss: float = 0.0


class Line:
    """One direction of one connection."""

    def __init__(self, clock: Clock, facts: LineFacts, draw: random.Random) -> None:
        self._clock = clock
        self._facts = facts
        self._draw = draw
        self._free_s = 0.0
        self._last_s = 0.0
        self.sent_bytes = 0

    def send(self, size: int, arrived: Callable[..., None], *args: Any) -> None:
        """Call ``arrived`` when the last byte is there."""
        self.sent_bytes += size
        facts = self._facts
        begin_s = max(self._clock.now_s, self._free_s)
        self._free_s = begin_s + (size / facts.bytes_s if facts.bytes_s else 0.0)
        there_s = self._free_s + facts.delay_s + self._lost_s()
        self._last_s = max(there_s, self._last_s)
        self._clock.at(self._last_s, arrived, *args)

    def _lost_s(self) -> float:
        wait_s = max(_RETRANSMIT_S, 4 * self._facts.delay_s)
        lost_s = 0.0
        while self._facts.loss and self._draw.random() < self._facts.loss:
            lost_s += wait_s
            wait_s *= 2
        return lost_s
