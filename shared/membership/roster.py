"""The agents of one tier above, as far as their statuses tell: what a sender picks from.

A status with an older epoch than that of a living agent is a ghost and is ignored; once that agent
is gone, or after a minute and a half without a word of it, the older one counts. So it does if the
other's is further ahead than clocks may differ. One that says nothing when it is asked again is
doubted until it is heard of: others are preferred to it. One that fails again and again is passed
over for a while (``shared.membership.breaker``). The roster is told the time and touches no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from shared.membership.breaker import Breaker
from shared.membership.incarnation import AHEAD_MS
from shared.membership.status import NO_LABELS, SOURCED_SINCE, Status
from shared.tasks import TASKS

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from shared.tasks import Task

LIMIT: Final = 1_000
"""Agents of one tier that are kept in mind; on an open broker anybody can make up more."""
_MISSED_HEARTBEATS = 3
_LATE_HEARTBEATS = 1.5
_CLAIM_HEARTBEAT_S = 30.0
"""A status keeps older epochs out no longer than if its heartbeat were this."""


class _Member(msgspec.Struct):
    status: Status
    heard_s: float
    breaker: Breaker
    sent: int = 0  # prompts sent since its load was last heard
    doubted: bool = False


class Roster:
    """The agents of one tier, as far as their statuses tell."""

    def __init__(self, tier: str, labels: str = "", tasks: Collection[Task] = TASKS) -> None:
        """Pick only among agents that fit a model with these ``labels`` that serves ``tasks``."""
        self.tier = tier
        self.labels = labels
        self.tasks = frozenset(tasks)
        self._entries: dict[str, _Member] = {}

    def hear(
        self,
        agent: str,
        status: Status,
        now_s: float,
        *,
        clock_ms: int = 0,
        kept: bool = False,
    ) -> bool:
        """Take in a status; return whether the agent has just become alive.

        A new life of an agent begins without the failures of the one before. ``clock_ms`` is what
        the wall clock says: epochs are made of that. A status that the broker had ``kept`` is no
        word of an agent that is doubted.
        """
        known = self._entries.get(agent)
        was_alive = known is not None and _alive(known, now_s)
        if known is not None and was_alive and _is_ghost(status, known, now_s, clock_ms):
            return False
        if known is None and not self._make_room(now_s):
            return False
        again = known is not None and known.status.boot == status.boot
        breaker = known.breaker if known is not None and again else Breaker()
        entry = self._entries[agent] = _Member(status, now_s, breaker)
        entry.doubted = kept and again and known is not None and known.doubted
        return _alive(entry, now_s) and not was_alive

    def resume(self, slept_s: float) -> None:
        """Go on with what was known ``slept_s`` ago, when we stopped listening.

        Nobody was silent in that time, since nobody was heard. How loaded they were says nothing.
        """
        for entry in self._entries.values():
            entry.heard_s += slept_s
            idle = msgspec.structs.replace(entry.status.load, wait_ms=0.0)
            entry.status = msgspec.structs.replace(entry.status, load=idle)
            entry.sent = 0

    def forget(self, agent: str) -> None:
        """Drop an agent whose retained status was cleared."""
        self._entries.pop(agent, None)

    def fits(self, task: Task, status: Status, named: str = "") -> bool:
        """Say whether an agent can answer our prompts of a task, as far as is known.

        Its model has to know the labels that are ``named`` by the prompt, or else ours. One that
        writes chooses among any that a prompt names.
        """
        if task not in status.tasks or task != "classify":
            return task in status.tasks
        if named and "generate" in status.tasks:
            return True
        wanted = named or self.labels
        return wanted in ("", NO_LABELS, status.labels) or not status.labels

    def alive(self, task: Task, now_s: float, named: str = "") -> list[str]:
        """Return the living agents that can answer a task, with the labels ``named`` if any are."""
        return [
            agent
            for agent, entry in self._entries.items()
            if _alive(entry, now_s) and self.fits(task, entry.status, named)
        ]

    def alone_with_others(self, task: Task, now_s: float) -> bool:
        """Say whether there are living agents, and none of them serves the task."""
        living = self._living(now_s)
        return bool(living) and not any(task in status.tasks for status in living)

    def is_misfit(self, status: Status) -> bool:
        """Say whether an agent serves what we do, and yet cannot answer any prompt of ours."""
        shared = self.tasks.intersection(status.tasks)
        return bool(shared) and not any(self.fits(task, status) for task in shared)

    def misfits(self, now_s: float) -> list[str]:
        """Return the living agents whose models have other labels than ours."""
        return [
            agent
            for agent, entry in self._entries.items()
            if _alive(entry, now_s) and self.is_misfit(entry.status)
        ]

    def count_fit(self, now_s: float) -> int:
        """Return how many living agents prompts of ours can be sent to."""
        living = self._living(now_s)
        return sum(any(self.fits(task, status) for task in self.tasks) for status in living)

    def pick(
        self,
        task: Task,
        now_s: float,
        draw: random.Random,
        avoid: Collection[str] = (),
        *,
        doubted: bool = False,
        named: str = "",
    ) -> str | None:
        """Return the less loaded of two agents drawn from the living, or None.

        Agents in ``avoid`` are left out, and those whose breaker is open; those that are doubted,
        or late with their heartbeat, too, unless ``doubted``. The load is the wait that the agent
        last told plus the work sent to it since.
        """
        candidates = [
            agent
            for agent in self.alive(task, now_s, named)
            if agent not in avoid and self._is_free(agent, now_s, doubted=doubted)
        ]
        if not candidates:
            return None
        drawn = draw.sample(candidates, min(2, len(candidates)))
        return self._take(min(drawn, key=self._wait_ms), now_s)

    def take(self, agent: str, task: Task, now_s: float, named: str = "") -> str | None:
        """Return the agent named if a prompt may be sent to it, as ``pick`` does."""
        free = agent in self.alive(task, now_s, named) and self._entries[agent].breaker.allows(
            now_s
        )
        return self._take(agent, now_s) if free else None

    def doubt(self, agent: str, now_s: float, draw: random.Random, *, stopped: bool) -> bool:
        """Prefer others until the agent is heard of; return whether that opened its breaker.

        Silence is a failure only of an agent whose heartbeat is late as well, or that ``stopped``
        saying that it works: else it may be the way that is slow, or the queue before it.
        """
        entry = self._entries.get(agent)
        if entry is None:
            return False
        entry.doubted = True
        if not (stopped or _is_late(entry, now_s)):
            return False
        return entry.breaker.failed(now_s, draw)

    def failed(self, agent: str, now_s: float, draw: random.Random) -> bool:
        """Count a failure of an agent; return whether that opened its breaker."""
        entry = self._entries.get(agent)
        return entry is not None and entry.breaker.failed(now_s, draw)

    def confidence_kind(self, agent: str) -> str:
        """Return what an agent last said that its confidences are; empty if it never did."""
        entry = self._entries.get(agent)
        return entry.status.confidence_kind if entry is not None else ""

    def reads_sources(self, agent: str | None) -> bool:
        """Return whether an agent, or everyone of the tier, knows version 3 of prompts."""
        asked = self._entries.values() if agent is None else [self._entries.get(agent)]
        return all(e is not None and e.status.version >= SOURCED_SINCE for e in asked)

    def status_of(self, agent: str) -> Status | None:
        """Return what an agent last said of itself; None if it never did."""
        entry = self._entries.get(agent)
        return entry.status if entry is not None else None

    def works(self, agent: str) -> None:
        """Take an agent's word for it that it lives."""
        entry = self._entries.get(agent)
        if entry is not None:
            entry.doubted = False

    def succeeded(self, agent: str, now_s: float) -> bool:
        """Take note of an agent's answer; return whether that closed its breaker."""
        self.works(agent)
        entry = self._entries.get(agent)
        return entry is not None and entry.breaker.succeeded(now_s)

    def passes_over(self, agent: str) -> bool:
        """Say whether an agent gets no more than trials, because it failed."""
        entry = self._entries.get(agent)
        return entry is not None and not entry.breaker.closed

    def count_alive(self, now_s: float) -> int:
        """Return how many agents are alive."""
        return sum(_alive(entry, now_s) for entry in self._entries.values())

    def count_open_breakers(self) -> int:
        """Return how many known agents are passed over, or only tried, because they failed."""
        return sum(not entry.breaker.closed for entry in self._entries.values())

    def _living(self, now_s: float) -> list[Status]:
        return [entry.status for entry in self._entries.values() if _alive(entry, now_s)]

    def _take(self, agent: str, now_s: float) -> str:
        self._entries[agent].sent += 1
        self._entries[agent].breaker.sent(now_s)
        return agent

    def _make_room(self, now_s: float) -> bool:
        """Forget the dead where there are too many; say whether there is room for one more."""
        if len(self._entries) >= LIMIT:
            self._entries = {
                agent: entry for agent, entry in self._entries.items() if _alive(entry, now_s)
            }
        return len(self._entries) < LIMIT

    def _is_free(self, agent: str, now_s: float, *, doubted: bool) -> bool:
        entry = self._entries[agent]
        if not doubted and (entry.doubted or _is_late(entry, now_s)):
            return False
        return entry.breaker.allows(now_s)

    def _wait_ms(self, agent: str) -> float:
        entry = self._entries[agent]
        load = entry.status.load
        return load.wait_ms + entry.sent * max(load.service_ms, 1.0)


def _is_ghost(status: Status, known: _Member, now_s: float, clock_ms: int) -> bool:
    ahead = status.epoch - known.status.epoch
    if max(status.epoch, known.status.epoch) > clock_ms + AHEAD_MS and abs(ahead) > AHEAD_MS:
        return ahead > 0  # whoever has that epoch has it from nobody's clock
    claim_s = _MISSED_HEARTBEATS * min(known.status.heartbeat_s, _CLAIM_HEARTBEAT_S)
    return status.epoch < known.status.epoch and now_s - known.heard_s <= claim_s


def _is_late(entry: _Member, now_s: float) -> bool:
    return now_s - entry.heard_s > _LATE_HEARTBEATS * entry.status.heartbeat_s


def _alive(entry: _Member, now_s: float) -> bool:
    return is_alive(entry.status, entry.heard_s, now_s)


def is_alive(status: Status, heard_s: float, now_s: float) -> bool:
    """Say whether an agent is alive, as far as its latest status tells, which was heard then."""
    silence_s = now_s - heard_s
    return status.state == "online" and silence_s <= _MISSED_HEARTBEATS * status.heartbeat_s
