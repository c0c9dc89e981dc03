"""A cache of answers that are given again as they are (GPTCache)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.hotspot.systems import Baseline, SystemAnswer
from experiments.hotspot.vector_cache import VectorCache

if TYPE_CHECKING:
    from experiments.hotspot.cloud import RecordedCloud
    from experiments.hotspot.edge import ScriptedEdge
    from experiments.hotspot.systems import HotQuery


class GptCache(Baseline):
    """The stored answer of the nearest question above a likeness, else the cloud (GPTCache)."""

    def __init__(
        self, cloud: RecordedCloud, edge: ScriptedEdge, capacity: int, width: int, least: float
    ) -> None:
        super().__init__(cloud, edge)
        self._cache, self._least = VectorCache(capacity, width), least

    @property
    def entries(self) -> int:
        """Pairs kept."""
        return len(self._cache)

    def warm(self, query: HotQuery) -> None:
        """Serve it, as any question."""
        self.answer(query)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Give the stored answer, or ask and store."""
        for cosine, place, kept in self._cache.nearest(query.vector):
            if cosine >= self._least:
                self._cache.touch(place)
                return SystemAnswer(kept.answer, "direct", used_fact=kept.fact)
        given = self.up(query)
        if given.cloud_calls:
            self._cache.remember(query, given.answer)
        return given
