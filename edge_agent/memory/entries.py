"""What is remembered: an entry for each question answered above, a ghost of what was learned."""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

from edge_agent.memory.verifier import offset_of
from edge_agent.memory.wording import normalise
from shared.tasks import Task

DAY_S: Final = 86_400.0
WORDINGS: Final = 5
_USES: Final = 32
_STABLE: Final = 2

State = Literal["fresh", "stable", "quarantined", "expired"]
"""An entry that agreed twice is stable; one whose answers disagree is quarantined."""


class Entry(msgspec.Struct, kw_only=True):
    """One question with its answer, and what became of both. Times are seconds since the epoch.

    ``wordings`` are the ways in which it was asked, the first one first; ``votes`` counts each
    answer that came from above; ``model`` and ``version`` name who gave it. ``hot`` counts hits and
    halves every day; ``ok`` and ``bad`` are uses that turned out right or wrong, ``helped`` and
    ``idle`` those as an example. ``uses`` are the latest, each with the log odds it was chosen at;
    ``nights`` counts the nights on which it was not learned, ``agreed`` how often the edge's model
    said the same when it was shown. ``expires_s`` is when it is no longer true, or none. ``owner``
    is whose it is where memories are kept apart.
    """

    id: int
    task: Task
    wordings: list[str]
    answer: str
    created_s: float
    used_s: float
    model: str = ""
    version: str = ""
    owner: str = ""
    state: State = "fresh"
    votes: dict[str, int] = {}
    hot: float = 1.0
    hot_s: float = 0.0
    ok: float = 0.0
    bad: float = 0.0
    helped: float = 0.0
    idle: float = 0.0
    uses: list[tuple[float, bool]] = []
    nights: int = 0
    agreed: int = 0
    expires_s: float | None = None

    @property
    def question(self) -> str:
        """The question as it was asked first."""
        return self.wordings[0]

    @property
    def chance_ok(self) -> float:
        """How likely a use of this entry is right, drawn towards nearly always."""
        return (self.ok + 19.0) / (self.ok + self.bad + 20.0)

    @property
    def chance_helps(self) -> float:
        """How likely the edge's model is right with this entry as an example."""
        return (self.helped + 19.0) / (self.helped + self.idle + 20.0)

    @property
    def offset(self) -> float:
        """What its own uses say of the verifier's log odds for this entry."""
        return offset_of(self.uses) if self.uses else 0.0

    @property
    def bytes(self) -> int:
        """About what it takes in memory: texts, vectors and counters."""
        texts = sum(len(text.encode()) for text in (*self.wordings, self.answer))
        return texts + len(self.wordings) * 384 * 4 + 300

    def heat(self, now_s: float) -> float:
        """Return its decayed hits as of now."""
        return self.hot * math.pow(2.0, -max(0.0, now_s - self.hot_s) / DAY_S)

    def hit(self, now_s: float) -> None:
        """Count one use."""
        self.hot, self.hot_s, self.used_s = self.heat(now_s) + 1.0, now_s, now_s

    def judge(self, log_odds: float, now_s: float, *, right: bool) -> None:
        """Take in what became of a use: the cloud said the same, or another thing."""
        self.ok, self.bad = self.ok + right, self.bad + (not right)
        self.uses = [*self.uses[-(_USES - 1) :], (log_odds, right)]
        if right and self.state == "fresh" and self.ok >= _STABLE:
            self.state = "stable"
        self.used_s = now_s

    def agree(self) -> None:
        """Count that the edge's model, shown this entry, said the same; twice makes it stable."""
        self.agreed += 1
        if self.state == "fresh" and self.agreed >= _STABLE:
            self.state = "stable"

    def vote(self, answer: str) -> None:
        """Count an answer from above; the most frequent one is given, if it leads.

        Two that agree make it stable, two that disagree put it aside until one leads with two.
        """
        key = normalise(answer)
        self.votes = {**self.votes, key: self.votes.get(key, 0) + 1}
        ranked = sorted(self.votes.values(), reverse=True)
        leads = len(ranked) == 1 or ranked[0] > ranked[1]
        best = max(self.votes, key=self.votes.__getitem__)
        if leads and key == best:
            self.answer = answer
        if leads and ranked[0] >= _STABLE:
            self.state = "stable"
        elif not leads:
            self.state = "quarantined"

    def add_wording(self, text: str) -> int | None:
        """Keep another way of asking; return its place, or none if it is known or one too many."""
        if len(self.wordings) >= WORDINGS or normalise(text) in map(normalise, self.wordings):
            return None
        self.wordings = [*self.wordings, text]
        return len(self.wordings) - 1


class Ghost(msgspec.Struct, kw_only=True):
    """What stays of an entry whose answer the edge's own model has learned: no text of it.

    ``template`` is the question without its names, ``names`` a hash of those; ``version`` the model
    that knows it, and ``score`` the share of wordings on which it was right when it was tested.
    """

    id: int
    task: Task
    template: str
    names: str
    version: str
    score: float
    owner: str = ""
    ok: float = 0.0
    bad: float = 0.0

    @property
    def chance(self) -> float:
        """How likely the model is right about it."""
        return (self.ok + 10.0 * self.score) / (self.ok + self.bad + 10.0)
