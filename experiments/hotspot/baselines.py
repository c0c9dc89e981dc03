"""Systems from the literature, as far as their idea goes, each within the same room.

They are ours in code and theirs in idea; what is called "-like" does what the cited work says of
routing and keeping, on the same vectors, recorded cloud and scripted model as the memory.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.memory.index import Vector
    from experiments.hotspot.cloud import RecordedCloud
    from experiments.hotspot.edge import ScriptedEdge
    from experiments.hotspot.facts import HotFact

TOLERANCE: Final = 0.02
"""A local answer may be this much less likely right than the cloud's."""


class HotQuery(NamedTuple):
    """One question as a system meets it; ``at`` numbers it, ``open`` says whether the cloud is."""

    at: int
    day: int
    fact: HotFact
    text: str
    vector: Vector
    now_s: float
    open: bool = True


class SystemAnswer(NamedTuple):
    """What a system answered, and what that took."""

    answer: str
    way: str
    cloud_calls: int = 0
    edge_tokens: int = 0
    used_fact: int | None = None
    """The fact whose remembered answer was given, if one was."""
    degraded: bool = False


class HotSystem(Protocol):
    """Answers questions; knows the truth of none."""

    @property
    def entries(self) -> int:
        """What it keeps."""

    def warm(self, query: HotQuery) -> None:
        """See a question of the warm-up with the cloud's answer."""

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Answer one question."""

    def night(self, day: int, now_s: float) -> None:
        """Do what is done between two days."""


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


class _Baseline:
    """What all of them have: a cloud, an edge, and nothing to do at night."""

    def __init__(self, cloud: RecordedCloud, edge: ScriptedEdge) -> None:
        self.cloud, self.edge = cloud, edge

    @property
    def entries(self) -> int:
        """What it keeps: nothing."""
        return 0

    def warm(self, query: HotQuery) -> None:
        """See a question of the warm-up."""

    def night(self, day: int, now_s: float) -> None:
        """Nothing is done at night."""

    def up(self, query: HotQuery, tokens: int = 0) -> SystemAnswer:
        """Ask the cloud; when it cannot be reached the edge answers, degraded."""
        if not query.open:
            own = self.edge.closed_book(query.fact, query.text, query.at)
            return SystemAnswer(own.answer, "edge", 0, tokens + own.tokens, degraded=True)
        return SystemAnswer(self.cloud.ask(query.fact, query.text).answer, "cloud", 1, tokens)


class AllCloud(_Baseline):
    """Everything goes up."""

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Ask the cloud."""
        return self.up(query)


class AllEdge(_Baseline):
    """Nothing goes up."""

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Ask the edge's model alone."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        return SystemAnswer(own.answer, "edge", 0, own.tokens)


class AllIcl(_Baseline):
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
        _remember(self._cache, query, self.cloud.ask(query.fact, query.text).answer)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Show examples."""
        return _by_examples(self.edge, query, self._cache.nearest(query.vector, 4))


class GptCache(_Baseline):
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
            _remember(self._cache, query, given.answer)
        return given


class RouteLlm(_Baseline):
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
        self._threshold = _least_sure(self._seen, self._wanted)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Route by the score."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        if own.confidence >= self._threshold:
            return SystemAnswer(own.answer, "edge", 0, own.tokens)
        return self.up(query)


class IcCache(_Baseline):
    """Examples before the question, and a bandit between edge and cloud (IC-Cache, 2501.12689).

    Arms are judged for each step of likeness of the best example, first on the warm-up, where both
    are asked, and then on the feedback that a tenth of the users give.
    """

    def __init__(
        self, cloud: RecordedCloud, edge: ScriptedEdge, capacity: int, width: int, wanted: float
    ) -> None:
        super().__init__(cloud, edge)
        self._cache, self._wanted = VectorCache(capacity, width), wanted
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
            own = _by_examples(self.edge, query, near)
            self._note(near[0][0], right=own.answer == said)
            if own.answer == said:
                self._cache.touch(near[0][1])
                return
        _remember(self._cache, query, said)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Take the arm that is good enough and cheaper."""
        near = self._cache.nearest(query.vector, 3)
        shown = [each for each in near if each[0] >= near[0][0] - 0.15][:2]
        if shown and self._chance(near[0][0]) >= self._wanted:
            given = _by_examples(self.edge, query, shown)
            self._cache.touch(near[0][1])
            if query.at % 10 == 0:
                self._note(near[0][0], right=given.answer in query.fact.answers)
            return given
        given = self.up(query)
        if given.cloud_calls:
            _remember(self._cache, query, given.answer)
        return given

    def _note(self, cosine: float, *, right: bool) -> None:
        self._right[int(max(0.0, cosine) * 50), 0 if right else 1] += 1

    def _chance(self, cosine: float) -> float:
        """Return how often the edge was right with an example so like, or more."""
        step = int(max(0.0, cosine) * 50)
        right, wrong = self._right[step : step + 3].sum(axis=0)
        return float((right + 1) / (right + wrong + 2))


class SelfRagLike(_Baseline):
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
        self._threshold = _least_sure(self._seen, self._wanted)
        _remember(self._cache, query, said)

    def answer(self, query: HotQuery) -> SystemAnswer:
        """Be sure, be shown, or ask."""
        own = self.edge.closed_book(query.fact, query.text, query.at)
        if own.confidence >= self._threshold:
            return SystemAnswer(own.answer, "edge", 0, own.tokens)
        near = self._cache.nearest(query.vector, 1)
        if near and near[0][0] >= 0.85:  # noqa: PLR2004
            self._cache.touch(near[0][1])
            shown = _by_examples(self.edge, query, near)
            return shown._replace(edge_tokens=shown.edge_tokens + own.tokens)
        given = self.up(query, own.tokens)
        if given.cloud_calls:
            _remember(self._cache, query, given.answer)
        return given


def _remember(cache: VectorCache, query: HotQuery, answer: str) -> None:
    cache.add(query.vector, CachedPair(query.fact.number, query.text, answer))


def _by_examples(
    edge: ScriptedEdge, query: HotQuery, near: Sequence[tuple[float, int, CachedPair]]
) -> SystemAnswer:
    """Ask the edge's model with these examples."""
    shown = [(kept.fact, kept.text, kept.answer) for _, _, kept in near]
    own = edge.with_examples(query.fact, query.text, query.at, shown)
    used = next((number for number, _, answer in shown if answer == own.answer), None)
    return SystemAnswer(own.answer, "examples", 0, own.tokens, used)


def _least_sure(seen: Sequence[tuple[float, bool]], wanted: float) -> float:
    """Return the least confidence from which on answers are right as often as wanted."""
    ranked = sorted(seen, reverse=True)
    best, right = 1.1, 0
    for count, (confidence, was_right) in enumerate(ranked, 1):
        right += was_right
        if count >= 20 and right / count >= wanted:  # noqa: PLR2004
            best = confidence
    return best
