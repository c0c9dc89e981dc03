"""What an agent makes of its own status when the broker brings it back: pure, told the time.

Every agent hears its own status topic. Its announcements come back as an echo, which is the canary:
while they do, the connection carries both ways. Whatever else stands there is from somebody else
under our name: an earlier life of ours, its will that came late, or another process.

Lives are ordered by epoch, then by boot id. A new life guesses its epoch (from the clock, which may
be wrong) and, until it has heard an echo of its own, gives way to nobody: it takes one more than
whatever newer it hears. Once it was heard it does not change any more, so of two processes with one
name both know which is the newer; the older is fenced and has to end. It touches no clock, no bus.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.membership.status import Status

EPOCHS: Final = 1 << 53
"""Epochs are below this, so that every reader of JSON has them exactly."""
AHEAD_MS: Final = 24 * 3600 * 1000
_ANNOUNCED_TWICE = 2
_PATIENCE_HEARTBEATS = 1.5  # the check comes with a heartbeat, the second after the silent one
_PATIENCE_MIN_S = 2.0


class Move(enum.Enum):
    """What is to be done about a status on our own topic."""

    NOTHING = "nothing"
    ANNOUNCE = "announce"
    """Something stale stands where our status should: say at once that we are here."""
    RENEW = "renew"
    """We took a later epoch: connect anew, with a will of that epoch, and announce it."""
    FENCED = "fenced"
    """A newer process has our name: stop."""


class Incarnation:
    """One process's claim to the name of its agent."""

    def __init__(self, *, epoch: int, boot: str, heartbeat_s: float) -> None:
        self.epoch = epoch
        self.boot = boot
        self._patience_s = max(_PATIENCE_HEARTBEATS * heartbeat_s, _PATIENCE_MIN_S)
        self._heard = False
        self._rival = ""
        self._rival_answered = False
        self._unanswered = 0
        self._unanswered_since_s = 0.0

    def connected(self) -> None:
        """Begin to count anew: a fresh connection owes us nothing yet."""
        self._unanswered = 0

    def announced(self, now_s: float) -> None:
        """Take note that an announcement is going out."""
        if self._unanswered == 0:
            self._unanswered_since_s = now_s
        self._unanswered += 1

    def half_open(self, now_s: float) -> bool:
        """Say whether two announcements in a row had their time to come back, and none did.

        Two, because a process that was itself stopped for a while wakes up to a long silence.
        """
        return (
            self._unanswered >= _ANNOUNCED_TWICE
            and now_s - self._unanswered_since_s >= self._patience_s
        )

    def hear(self, status: Status, *, live: bool = True, clock_ms: int = 0) -> Move:
        """Take in what came on our own topic, and say what to do about it.

        It is not ``live`` when the broker had kept it from before we subscribed. An epoch that is
        further ahead of ours, and of the wall clock's ``clock_ms``, than clocks may differ is
        somebody's fault and nobody's life: it is spoken over.
        """
        if status.boot == self.boot:
            return self._hear_ourselves(status)
        newer = (status.epoch, status.boot) > (self.epoch, self.boot)
        if status.epoch > max(self.epoch, clock_ms) + AHEAD_MS:
            newer = False
        if newer and self._heard:
            return Move.FENCED if self._is_alive(status, live) else Move.ANNOUNCE
        if newer and status.epoch + 1 < EPOCHS:
            self.epoch = status.epoch + 1
            return Move.RENEW
        return Move.ANNOUNCE if self._heard else Move.NOTHING

    def _is_alive(self, newer: Status, live: bool) -> bool:
        """Say whether a newer life is there now, and this not a late will or a word kept of it.

        Where it has our client id, too, the broker ends its connection for ours and all that we
        hear of it are such; but it comes back, and so do they after each echo of ours.
        """
        again = newer.boot == self._rival and self._rival_answered
        self._rival, self._rival_answered = newer.boot, False
        return again or (live and newer.state == "online")

    def _hear_ourselves(self, status: Status) -> Move:
        if status.state == "offline":  # the will of a connection that we have replaced
            return Move.ANNOUNCE
        if status.epoch == self.epoch:
            self._heard = self._rival_answered = True
            self._unanswered = 0
        return Move.NOTHING
