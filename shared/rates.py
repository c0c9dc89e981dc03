"""Rate limits, one token bucket for each sender. Pure: told the time."""

from __future__ import annotations

from collections import OrderedDict

_SENDERS = 10_000


class RateLimits:
    """Lets each name through ``per_s`` times a second, and ``burst`` times at once.

    The names longest unheard are forgotten beyond ten thousand: their buckets are full again.
    ``per_s`` of 0 lets everything through.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, name: str, now_s: float) -> bool:
        """Take one token of ``name``, if it has any."""
        if not self._per_s:
            return True
        tokens, filled_s = self._buckets.get(name, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - filled_s) * self._per_s)
        admitted = tokens >= 1.0
        self._buckets[name] = (tokens - admitted, now_s)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _SENDERS:
            self._buckets.popitem(last=False)
        return admitted
