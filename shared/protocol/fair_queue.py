"""A bounded queue that is taken from in turns: one prompt of each origin in a round.

The higher priority goes first; of equals each origin has its turn, and its own prompts go in the
order they came. So whoever sends much waits for himself, and one who asks now and then waits for
one prompt of each other at most. Where the queue is full the newest prompt of whoever has most in
it makes room. A long prompt takes several places, one for each ``PLACE_BYTES`` begun. Pure.
"""

from __future__ import annotations

import heapq
from typing import Final, Generic, NamedTuple, TypeVar

PLACE_BYTES: Final = 8 * 1024
_STALE: Final = 64

Item = TypeVar("Item")


class Full(Exception):
    """There is no room, and nobody has more in the queue than whoever comes now would have."""


class _Queued(NamedTuple):
    after: int
    turn: int
    number: int
    origin: str
    places: int


class _Held:
    """What one origin has in the queue."""

    __slots__ = ("numbers", "places")

    def __init__(self) -> None:
        self.places = 0
        self.numbers: list[int] = []


class FairQueue(Generic[Item]):
    """See above; ``places`` bounds it."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0
        """Places that are taken."""
        self._heap: list[_Queued] = []
        self._items: dict[int, Item] = {}
        self._entries: dict[int, _Queued] = {}
        self._origins: dict[str, _Held] = {}
        self._turn = 0
        self._number = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._items)

    def full_for(self, origin: str) -> bool:
        """Say whether a prompt of an origin would be turned away."""
        return not self._fits(origin, 1)

    def ahead_of(self, origin: str) -> int:
        """Return about how many would be taken before a prompt of an origin that came now."""
        held = self._origins.get(origin)
        mine = len(held.numbers) if held is not None else 0
        others = len(self._origins) - (held is not None)
        return min(len(self), mine + (mine + 1) * others)

    def put(self, item: Item, origin: str = "", priority: int = 0, size: int = 0) -> list[Item]:
        """Take in an item of ``size`` bytes, and return those that have to make room for it.

        Raises ``Full`` when nobody has to.
        """
        places = min(1 + size // PLACE_BYTES, self.places)
        if not self._fits(origin, places):
            raise Full
        self._number += 1
        held = self._origins.setdefault(origin, _Held())
        turn = self._entries[held.numbers[-1]].turn + 1 if held.numbers else self._turn
        entry = _Queued(-priority, max(turn, self._turn), self._number, origin, places)
        self._items[entry.number], self._entries[entry.number] = item, entry
        held.numbers.append(entry.number)
        held.places += places
        self.taken += places
        heapq.heappush(self._heap, entry)
        displaced = []
        while self.taken > self.places:
            displaced.append(self._displace())
        if len(self._heap) > 2 * len(self) + _STALE:
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)
        return displaced

    def take(self, limit: int) -> list[Item]:
        """Take out the first ``limit`` items, or all there are."""
        taken: list[Item] = []
        while self._heap and len(taken) < limit:
            entry = heapq.heappop(self._heap)
            if entry.number in self._items:
                taken.append(self._remove(entry))
                self._turn = max(self._turn, entry.turn + 1)
        return taken

    def _fits(self, origin: str, places: int) -> bool:
        """Say whether there is room, or others have so much more that they can make it."""
        missing = self.taken + places - self.places
        if missing <= 0:
            return True
        held = self._origins.get(origin)
        mine = places + (held.places if held is not None else 0)
        return missing <= sum(max(0, other.places - mine) for other in self._origins.values())

    def _displace(self) -> Item:
        """Take out the newest of whoever has most."""
        most = max(self._origins.values(), key=lambda held: held.places)
        return self._remove(self._entries[most.numbers[-1]])

    def _remove(self, entry: _Queued) -> Item:
        held = self._origins[entry.origin]
        held.numbers.remove(entry.number)
        held.places -= entry.places
        self.taken -= entry.places
        if not held.numbers:
            del self._origins[entry.origin]
        del self._entries[entry.number]
        return self._items.pop(entry.number)
