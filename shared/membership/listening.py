"""When an agent listens to the statuses above it: while something of its own is up there.

A status that ten thousand devices heard at every heartbeat would be copied ten thousand times, by
one broker, for nine thousand and more that have nothing to send. So an agent listens from its start
until it knows somebody above, and later from the moment that a prompt goes up until a while after
the last word about one. In between it goes by what it knew, as of when it stopped.

Pure: it is told the time. Subscribing is the business of ``shared.serving.dispatcher``.
"""

from __future__ import annotations

import math


class Listening:
    """Whether an agent listens, and as of when it knows what it knows."""

    def __init__(self, linger_s: float = math.inf) -> None:
        """Go on for ``linger_s`` after the last use; by default for ever."""
        self.linger_s = linger_s
        self._used_s = -math.inf
        self._ended_s: float | None = None
        self._unmet = False

    def begin(self, now_s: float) -> float | None:
        """Take note that a prompt goes up; return how long nobody listened, if nobody does now."""
        slept_s = None if self._ended_s is None else now_s - self._ended_s
        self._ended_s = None
        self.use(now_s)
        return slept_s

    def use(self, now_s: float) -> None:
        """Take note of word about a prompt that is up there: go on for a while."""
        self._used_s = max(self._used_s, now_s)

    def found(self, agent: object | None) -> None:
        """Take note of who is to have a prompt: with nobody, it waits for who may come."""
        self._unmet = agent is None

    def end(self, now_s: float) -> bool:
        """Stop, if nothing needs it any more; return whether that was now."""
        if not self.on or self._unmet or now_s < self.due_s:
            return False
        self._ended_s = now_s
        return True

    @property
    def on(self) -> bool:
        """Whether the statuses above are heard."""
        return self._ended_s is None

    @property
    def due_s(self) -> float:
        """When it may stop, as far as is known."""
        return self._used_s + self.linger_s

    def as_of(self, now_s: float) -> float:
        """Return the time that what is known is of: now, or when listening ended."""
        return now_s if self._ended_s is None else self._ended_s
