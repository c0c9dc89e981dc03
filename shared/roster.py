"""The agents of one tier above, as far as their statuses tell: what a sender picks from.

A status with an older epoch than that of a living agent is a ghost and is ignored; once that agent
is gone the older one counts. An agent that fails again and again is passed over for a while
(``shared.breaker``). The roster is told the time and touches no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.breaker import Breaker
from shared.status import Status

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from shared.messages import Task

_MISSED_HEARTBEATS = 3


class _Entry(msgspec.Struct):
    status: Status
    heard_s: float
    breaker: Breaker
    sent: int = 0  # prompts sent since its load was last heard


class Roster:
    """The agents of one tier, as far as their statuses tell."""

    def __init__(self, tier: str) -> None:
        self.tier = tier
        self._entries: dict[str, _Entry] = {}

    def hear(self, agent: str, status: Status, now_s: float) -> bool:
        """Take in a status; return whether the agent has just become alive.

        A new life of an agent begins without the failures of the one before.
        """
        known = self._entries.get(agent)
        was_alive = known is not None and _alive(known, now_s)
        if known is not None and was_alive and status.epoch < known.status.epoch:
            return False
        again = known is not None and known.status.boot == status.boot
        breaker = known.breaker if known is not None and again else Breaker()
        entry = self._entries[agent] = _Entry(status, now_s, breaker)
        return _alive(entry, now_s) and not was_alive

    def forget(self, agent: str) -> None:
        """Drop an agent whose retained status was cleared."""
        self._entries.pop(agent, None)

    def alive(self, task: Task, now_s: float) -> list[str]:
        """Return the living agents that serve the task."""
        return [
            agent
            for agent, entry in self._entries.items()
            if task in entry.status.tasks and _alive(entry, now_s)
        ]

    def pick(
        self, task: Task, now_s: float, draw: random.Random, avoid: Collection[str] = ()
    ) -> str | None:
        """Return the less loaded of two agents drawn from the living, or None.

        Agents in ``avoid`` are left out, and those whose breaker is open. The load is the wait that
        the agent last told plus the work sent to it since.
        """
        candidates = [
            agent
            for agent in self.alive(task, now_s)
            if agent not in avoid and self._entries[agent].breaker.allows(now_s)
        ]
        if not candidates:
            return None
        drawn = draw.sample(candidates, min(2, len(candidates)))
        chosen = min(drawn, key=self._wait_ms)
        self._entries[chosen].sent += 1
        self._entries[chosen].breaker.sent(now_s)
        return chosen

    def failed(self, agent: str, now_s: float, draw: random.Random) -> bool:
        """Count a failure of an agent; return whether that opened its breaker."""
        entry = self._entries.get(agent)
        return entry is not None and entry.breaker.failed(now_s, draw)

    def succeeded(self, agent: str, now_s: float) -> bool:
        """Take note of an agent's answer; return whether that closed its breaker."""
        entry = self._entries.get(agent)
        return entry is not None and entry.breaker.succeeded(now_s)

    def count_open_breakers(self) -> int:
        """Return how many known agents are passed over, or only tried, because they failed."""
        return sum(not entry.breaker.closed for entry in self._entries.values())

    def _wait_ms(self, agent: str) -> float:
        entry = self._entries[agent]
        load = entry.status.load
        return load.wait_ms + entry.sent * max(load.service_ms, 1.0)


def _alive(entry: _Entry, now_s: float) -> bool:
    silence_s = now_s - entry.heard_s
    patience_s = _MISSED_HEARTBEATS * entry.status.heartbeat_s
    return entry.status.state == "online" and silence_s <= patience_s
