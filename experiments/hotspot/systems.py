"""What a system of the study is: it answers questions, one after the other, and knows no truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
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
    chance: float | None = None
    """How likely right the system took a local answer to be, if it says."""


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


class Baseline:
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
