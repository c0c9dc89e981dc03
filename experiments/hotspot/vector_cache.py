"""Remembered pairs by vector, of which the one used least lately goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from edge_agent.memory.index import Vector
    from experiments.hotspot.systems import HotQuery


class CachedPair(NamedTuple):
    """A remembered pair."""

    fact: int
    text: str
    answer: str


class VectorCache:
    """Pairs by vector, of which the one used least lately goes first."""

    def __init__(self, capacity: int, dimensions: int) -> None:
        self._rows = np.zeros((capacity, dimensions), np.float32)
        self._kept: OrderedDict[int, CachedPair] = OrderedDict()
        self._free = list(range(capacity))

    def __len__(self) -> int:
        return len(self._kept)

    def nearest(self, vector: Vector, count: int = 1) -> list[tuple[float, int, CachedPair]]:
        """Return the nearest pairs with their cosines and places."""
        if not self._kept:
            return []
        cosines = self._rows @ vector
        order = np.argsort(-cosines)[: count + len(self._free)]
        found = [
            (float(cosines[i]), int(i), self._kept[i]) for i in order.tolist() if i in self._kept
        ]
        return found[:count]

    def touch(self, place: int) -> None:
        """Count a use."""
        self._kept.move_to_end(place)

    def add(self, vector: Vector, kept: CachedPair) -> None:
        """Keep a pair, in place of the one used least lately if there is no room."""
        if not self._free:
            place, _ = self._kept.popitem(last=False)
            self._free.append(place)
        place = self._free.pop()
        self._rows[place], self._kept[place] = vector, kept

    def remember(self, query: HotQuery, answer: str) -> None:
        """Keep the answer to a question."""
        self.add(query.vector, CachedPair(query.fact.number, query.text, answer))
