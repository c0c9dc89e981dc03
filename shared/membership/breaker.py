"""A circuit breaker: passes over an agent that fails again and again, and tries it now and then.

Closed, it lets everything through. After several failures in a row it opens for a pause; each time
that a trial after the pause fails, the next pause is twice as long, up to a minute. After the pause
it is half-open: one prompt at a time goes to the agent as a trial. A success closes it.

It knows nothing of agents or prompts, is told the time and touches no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

FAILURES: Final = 5
"""In a row, until it opens: one poisonous prompt or a short break of the line is no reason."""
PAUSE_MIN_S: Final = 5.0
PAUSE_MAX_S: Final = 60.0
JITTER: Final = 0.2
"""Share of a pause by which it may be shorter or longer, so that devices do not try in step."""


class Breaker:
    """What is known of one agent's failures."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = 0.0
        self._tried_from_s: float | None = None
        self._trial_s: float | None = None

    @property
    def closed(self) -> bool:
        """Whether everything is let through."""
        return self._tried_from_s is None

    def allows(self, now_s: float) -> bool:
        """Say whether a prompt may be sent now.

        A trial that nobody has word of, because the agent was busy or somebody else answered, makes
        room for another after a further pause.
        """
        if self._tried_from_s is None:
            return True
        if now_s < self._tried_from_s:
            return False
        return self._trial_s is None or now_s >= self._trial_s + self._pause_s

    def sent(self, now_s: float) -> None:
        """Take note of a prompt that goes to the agent; half-open, it is the trial."""
        if self._tried_from_s is not None:
            self._trial_s = now_s

    def failed(self, now_s: float, draw: random.Random) -> bool:
        """Take note of silence or of a model's failure; return whether that opened the breaker.

        What was sent before it opened may fail while it is open; that says nothing new.
        """
        self._failures += 1
        if self._tried_from_s is None:
            if self._failures < FAILURES:
                return False
            self._open(PAUSE_MIN_S, now_s, draw)
            return True
        if self._trial_s is None:
            return False
        self._open(2 * self._pause_s, now_s, draw)
        return True

    def succeeded(self, now_s: float) -> bool:
        """Take note of an answer; return whether that closed the breaker.

        A late answer while the breaker is open ends the pause and no more: who is slow would be
        flooded again at once.
        """
        self._failures = 0
        if self._tried_from_s is None:
            return False
        if now_s < self._tried_from_s:
            self._tried_from_s = now_s
            return False
        self._tried_from_s = self._trial_s = None
        return True

    def _open(self, pause_s: float, now_s: float, draw: random.Random) -> None:
        self._pause_s = min(pause_s, PAUSE_MAX_S)
        jitter = draw.uniform(1 - JITTER, 1 + JITTER)
        self._tried_from_s = now_s + self._pause_s * jitter
        self._trial_s = None
