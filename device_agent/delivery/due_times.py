"""When each accepted prompt is looked at again."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from device_agent.delivery.accepted import AcceptedPrompt

_STALE: Final = 1_000
"""Times of prompts that are gone, kept until they come up or are this many too many."""


class DueTimes:
    """A heap of times; of those that were set for a prompt only the last one counts."""

    def __init__(self, entries: Mapping[UUID, AcceptedPrompt]) -> None:
        self._entries = entries
        self._heap: list[tuple[float, int, UUID]] = []
        self._pushes = 0

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, prompt_id: UUID, entry: AcceptedPrompt, due_s: float) -> None:
        """Have the prompt come up at ``due_s``, and at no time that was set before."""
        entry.due_s = due_s
        self._pushes += 1
        heapq.heappush(self._heap, (due_s, self._pushes, prompt_id))
        if len(self._heap) > 2 * len(self._entries) + _STALE:
            self._heap = [
                (live.due_s, number, live_id)
                for number, (live_id, live) in enumerate(self._entries.items())
            ]
            heapq.heapify(self._heap)

    def next_s(self) -> float | None:
        """Return when a prompt comes up next, if any does."""
        while self._heap:
            due_s, _, prompt_id = self._heap[0]
            entry = self._entries.get(prompt_id)
            if entry is not None and entry.due_s == due_s:
                return due_s
            heapq.heappop(self._heap)
        return None

    def take(self, now_s: float) -> tuple[UUID, AcceptedPrompt] | None:
        """Return a prompt that has come up by now, if there is one; it comes up no more."""
        due_s = self.next_s()
        if due_s is None or due_s > now_s:
            return None
        _, _, prompt_id = heapq.heappop(self._heap)
        entry = self._entries[prompt_id]
        entry.due_s = math.inf
        return prompt_id, entry
