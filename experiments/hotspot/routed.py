"""Systems without a memory: everything up, nothing up, or as the edge's model is sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.hotspot.systems import Baseline, SystemAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.hotspot.cloud import RecordedCloud
    from experiments.hotspot.edge import ScriptedEdge
    from experiments.hotspot.systems import HotQuery


class AllCloud(Baseline):
    """Everything goes up."""

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Ask the cloud."""
        return self.up(query)


class AllEdge(Baseline):
    """Nothing goes up."""

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Ask the edge's model alone."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        return SystemAnswer(own.answer, "edge", 0, own.tokens)


class RouteLlm(Baseline):
    """The edge's model where it is likely enough right, without any memory (RouteLLM, 2406.18665).

    How likely is told before the answer, by a score whose threshold is set on the warm-up.
    """

    def __init__(self, cloud: RecordedCloud, edge: ScriptedEdge, wanted: float) -> None:
        super().__init__(cloud, edge)
        self._seen: list[tuple[float, bool]] = []
        self._wanted, self._threshold = wanted, 1.1

    def warm(self, query: HotQuery) -> None:
        """Compare both models, as its preference data do."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        same = own.answer == self.cloud.ask(query.fact, query.text).answer
        self._seen.append((own.confidence, same))
        self._threshold = least_sure(self._seen, self._wanted)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Route by the score."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        if own.confidence >= self._threshold:
            return SystemAnswer(own.answer, "edge", 0, own.tokens)
        return self.up(query)


def least_sure(seen: Sequence[tuple[float, bool]], wanted: float) -> float:
    """Return the least confidence from which on answers are right as often as wanted."""
    ranked = sorted(seen, reverse=True)
    best, right = 1.1, 0
    for count, (confidence, was_right) in enumerate(ranked, 1):
        right += was_right
        if count >= 20 and right / count >= wanted:  # noqa: PLR2004
            best = confidence
    return best
