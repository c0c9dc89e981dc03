"""Systems that show the edge's model what was answered above before it answers itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_agent.memory.router import WayPrices
from experiments.hotspot.routed import least_sure
from experiments.hotspot.showing import by_pairs
from experiments.hotspot.systems import Baseline, SystemAnswer
from experiments.hotspot.vector_cache import VectorCache

if TYPE_CHECKING:
    from experiments.hotspot.cloud import RecordedCloud
    from experiments.hotspot.edge import ScriptedEdge
    from experiments.hotspot.systems import HotQuery


class AllIcl(Baseline):
    """The edge's model with the four nearest examples of the warm-up, always."""

    def __init__(self, cloud: RecordedCloud, edge: ScriptedEdge, capacity: int, width: int) -> None:
        super().__init__(cloud, edge)
        self._cache = VectorCache(capacity, width)

    @property
    def entries(self) -> int:
        """Pairs kept."""
        return len(self._cache)

    def warm(self, query: HotQuery) -> None:
        """Keep the pair."""
        self._cache.remember(query, self.cloud.ask(query.fact, query.text).answer)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Show examples."""
        return by_pairs(self.edge, query, self._cache.nearest(query.vector, 4))


class IcCache(Baseline):
    """Examples before the question, and a bandit between edge and cloud (IC-Cache, 2501.12689).

    Arms are judged for each step of likeness of the best example, first on the warm-up, where both
    are asked, and then on the feedback that a tenth of the users give. The arm of the most worth is
    taken: how likely right it is, less its price, which is that of the memory's router.
    """

    def __init__(
        self, cloud: RecordedCloud, edge: ScriptedEdge, capacity: int, width: int, right: float
    ) -> None:
        super().__init__(cloud, edge)
        prices = WayPrices()
        self._cache = VectorCache(capacity, width)
        self._wanted = right - prices.cloud + prices.examples
        self._right = np.zeros((53, 2))

    @property
    def entries(self) -> int:
        """Pairs kept."""
        return len(self._cache)

    def warm(self, query: HotQuery) -> None:
        """Try both arms, and keep the pair where the example was not enough."""
        said = self.cloud.ask(query.fact, query.text).answer
        near = self._cache.nearest(query.vector, 3)
        if near:
            own = by_pairs(self.edge, query, near)
            self._note(near[0][0], right=own.answer == said)
            if own.answer == said:
                self._cache.touch(near[0][1])
                return
        self._cache.remember(query, said)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Take the arm of the most worth."""
        near = self._cache.nearest(query.vector, 3)
        shown = [each for each in near if each[0] >= near[0][0] - 0.15][:2]
        if shown and self._chance(near[0][0]) >= self._wanted:
            given = by_pairs(self.edge, query, shown)
            self._cache.touch(near[0][1])
            if query.at % 10 == 0:
                self._note(near[0][0], right=given.answer in query.fact.answers)
            return given
        given = self.up(query)
        if given.cloud_calls:
            self._cache.remember(query, given.answer)
        return given

    def _note(self, cosine: float, *, right: bool) -> None:
        self._right[int(max(0.0, cosine) * 50), 0 if right else 1] += 1

    def _chance(self, cosine: float) -> float:
        """Return how often the edge was right with an example so like, or more."""
        step = int(max(0.0, cosine) * 50)
        right, wrong = self._right[step : step + 3].sum(axis=0)
        return float((right + 1) / (right + wrong + 2))


class SelfRagLike(Baseline):
    """The edge's model, an example only when it is unsure, the cloud when that is not enough."""

    def __init__(
        self, cloud: RecordedCloud, edge: ScriptedEdge, capacity: int, width: int, wanted: float
    ) -> None:
        super().__init__(cloud, edge)
        self._cache, self._wanted, self._threshold = VectorCache(capacity, width), wanted, 1.1
        self._seen: list[tuple[float, bool]] = []

    @property
    def entries(self) -> int:
        """Pairs kept."""
        return len(self._cache)

    def warm(self, query: HotQuery) -> None:
        """Set how sure it has to be, and keep the pair."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        said = self.cloud.ask(query.fact, query.text).answer
        self._seen.append((own.confidence, own.answer == said))
        self._threshold = least_sure(self._seen, self._wanted)
        self._cache.remember(query, said)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Be sure, be shown, or ask."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        if own.confidence >= self._threshold:
            return SystemAnswer(own.answer, "edge", 0, own.tokens)
        near = self._cache.nearest(query.vector, 1)
        if near and near[0][0] >= 0.85:  # noqa: PLR2004
            self._cache.touch(near[0][1])
            shown = by_pairs(self.edge, query, near)
            return shown._replace(edge_tokens=shown.edge_tokens + own.tokens)
        given = self.up(query, own.tokens)
        if given.cloud_calls:
            self._cache.remember(query, given.answer)
        return given
