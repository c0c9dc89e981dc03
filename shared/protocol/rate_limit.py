"""Rate limits, one token bucket for each sender. Pure: told the time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

COUNTED_BYTES: Final = 8 * 1024
"""A prompt counts once, and once more for each of these that it has beyond the first."""
DEVICES_PER_RELAY: Final = 20
"""What one relay may send in all, in devices: it names them itself."""
_SENDERS: Final = 10_000


class RateLimiter:
    """Lets each name through ``per_s`` times a second, and ``burst`` times at once.

    The names longest unheard are forgotten beyond ten thousand: their buckets are full again.
    ``per_s`` of 0 lets everything through.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, origin: str, now_s: float, *, size_bytes: int = 0, device: str = "") -> bool:
        """Take a prompt's tokens from its sender's bucket, if there are any.

        What a relay sends for its devices counts for each ``device`` by itself.
        """
        if not self._per_s:
            return True
        cost = 1 + size_bytes // COUNTED_BYTES
        if device in ("", origin):
            return self._take(origin, cost, 1, now_s)
        name = f"{origin}/{device}"
        return self._take(name, cost, 1, now_s) and self._take(
            origin, cost, DEVICES_PER_RELAY, now_s
        )

    def _take(self, name: str, cost: int, share: int, now_s: float) -> bool:
        """Take tokens; a bucket that has one may go into debt for a large prompt."""
        burst = self._burst * share
        tokens, filled_s = self._buckets.get(name, (burst, now_s))
        tokens = min(burst, tokens + (now_s - filled_s) * self._per_s * share)
        admitted = tokens >= 1.0
        self._buckets[name] = (tokens - cost if admitted else tokens, now_s)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _SENDERS:
            self._buckets.popitem(last=False)
        return admitted
