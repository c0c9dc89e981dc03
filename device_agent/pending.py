"""The one table of prompts that a device has accepted and not yet answered.

Pure: it is told the time and returns what to do. An entry leaves exactly once, with its result.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    import random
    from uuid import UUID

    from shared.station import Escalated

Waiter = TypeVar("Waiter")


class Backoff(NamedTuple):
    """Silence before a retry: doubles from ``min_s`` to ``max_s``; each is drawn from its half up.

    ``patience_s`` is how long a prompt waits for an agent above when none is alive.
    """

    min_s: float
    max_s: float
    patience_s: float


@dataclass
class Entry(Generic[Waiter]):
    """One accepted prompt; ``escalated`` once it has gone up."""

    deadline_s: float
    waiter: Waiter
    escalated: Escalated | None = None
    silence_s: float = 0.0
    due_s: float = 0.0
    give_up_s: float = 0.0


class Due(NamedTuple):
    """A prompt to send again, or to give up on for the stated reason."""

    escalated: Escalated
    give_up: str


class Pending(Generic[Waiter]):
    """Accepted prompts by id, each with whoever waits for its result."""

    def __init__(self, backoff: Backoff, draw: random.Random) -> None:
        self._backoff = backoff
        self._draw = draw
        self._entries: dict[UUID, Entry[Waiter]] = {}
        self._due: list[tuple[float, int, UUID]] = []
        self._pushes = 0

    def __len__(self) -> int:
        """Return how many prompts are accepted and not answered."""
        return len(self._entries)

    def accept(self, prompt_id: UUID, deadline_s: float, waiter: Waiter) -> None:
        """Take responsibility for a prompt."""
        self._entries[prompt_id] = Entry(deadline_s, waiter)

    def waiter(self, prompt_id: UUID) -> Waiter | None:
        """Return who waits for a prompt that is already accepted."""
        entry = self._entries.get(prompt_id)
        return entry.waiter if entry else None

    def waiters(self) -> list[Waiter]:
        """Return everyone who waits."""
        return [entry.waiter for entry in self._entries.values()]

    def above(self) -> list[Escalated]:
        """Return the prompts that went up and are not answered yet."""
        return [entry.escalated for entry in self._entries.values() if entry.escalated]

    def find(self, prompt_id: UUID) -> Escalated | None:
        """Return a prompt that went up and is not answered yet."""
        entry = self._entries.get(prompt_id)
        return entry.escalated if entry else None

    def going(self, prompt_id: UUID, escalated: Escalated) -> None:
        """Note that a prompt is about to go up; it is given up at its deadline at the latest."""
        entry = self._entries.get(prompt_id)
        if entry is not None:
            entry.escalated = escalated
            self._schedule(prompt_id, entry, entry.deadline_s)

    def sent(self, prompt_id: UUID, escalated: Escalated, now_s: float) -> None:
        """Note that a prompt went up, or that nobody was there to take it."""
        entry = self._entries.get(prompt_id)
        if entry is None:
            return
        entry.escalated = escalated
        if escalated.agent is None:
            entry.give_up_s = entry.give_up_s or now_s + self._backoff.patience_s
            self._schedule(prompt_id, entry, min(entry.give_up_s, entry.deadline_s))
            return
        entry.give_up_s = 0.0
        longer_s = entry.silence_s * 2 or self._backoff.min_s
        entry.silence_s = min(longer_s, self._backoff.max_s)
        silence_s = entry.silence_s * self._draw.uniform(0.5, 1.0)
        self._schedule(prompt_id, entry, min(now_s + silence_s, entry.deadline_s))

    def resolve(self, prompt_id: UUID) -> Waiter | None:
        """Take a prompt out for good; None if it is unknown or was answered before."""
        entry = self._entries.pop(prompt_id, None)
        return entry.waiter if entry else None

    def rearm(self, now_s: float, *, unsent_only: bool = False) -> None:
        """Make what waits above due at once: the connection, or an agent, has come back."""
        for prompt_id, entry in self._entries.items():
            if entry.escalated and not (unsent_only and entry.escalated.agent is not None):
                self._schedule(prompt_id, entry, now_s)

    def due(self, now_s: float) -> list[Due]:
        """Return what is to be done by now, each to be ``sent`` again or ``resolve``d.

        A prompt that is neither, because sending it takes too long, is due at its deadline.
        """
        ready: list[Due] = []
        while self._due and self._due[0][0] <= now_s:
            due_s, _, prompt_id = heapq.heappop(self._due)
            entry = self._entries.get(prompt_id)
            if entry is None or entry.escalated is None or entry.due_s != due_s:
                continue
            ready.append(Due(entry.escalated, self._reason(entry, now_s)))
            self._schedule(prompt_id, entry, max(entry.deadline_s, math.nextafter(now_s, math.inf)))
        return ready

    def next_due_s(self) -> float | None:
        """Return when ``due`` next has something to say."""
        return self._due[0][0] if self._due else None

    def _reason(self, entry: Entry[Waiter], now_s: float) -> str:
        if now_s >= entry.deadline_s:
            return "no better answer came in time"
        if entry.give_up_s and now_s >= entry.give_up_s:
            return "no agent above is alive"
        return ""

    def _schedule(self, prompt_id: UUID, entry: Entry[Waiter], due_s: float) -> None:
        entry.due_s = due_s
        self._pushes += 1
        heapq.heappush(self._due, (due_s, self._pushes, prompt_id))
