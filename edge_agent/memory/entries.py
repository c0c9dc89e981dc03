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
_VOTES: Final = 16

State = Literal["fresh", "stable", "quarantined", "expired"]
"""An entry that agreed twice is stable; one whose answers disagree is quarantined."""


class Entry(msgspec.Struct, kw_only=True):
    """One question with its answer, and what became of both. Times are seconds since the epoch.

    ``wordings`` are the ways in which it was asked, the first one first; ``said`` has each answer
    that came from above, with the words that it was given to; ``model`` and ``version`` name who
    gave it. ``hot`` counts hits and halves every day; ``ok`` and ``bad`` are uses that turned out
    right or wrong, ``helped`` and ``idle`` those as an example. ``uses`` are the latest, each with
    the log odds it was chosen at; ``nights`` counts the nights on which it was not learned,
    ``agreed`` how often the edge's model said the same when it was shown. ``expires_s`` is when it
    is no longer true, or none. ``owner`` is whose it is where memories are kept apart.
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
    said: dict[str, list[str]] = {}
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

    def vote(self, answer: str, asked: str = "") -> None:
        """Count an answer from above to these words; the most frequent one is given, if it leads.

        The same words count once: whoever is asked the same again says the same again, right or
        wrong. Where that is another answer than before, and is said again, it counts instead. Two
        that agree make it stable; two that disagree put it aside until one leads.
        """
        key, words = normalise(answer), normalise(asked or self.question)
        said = self._said()
        again = words in said.get(key, ())
        if again:
            said = {each: [other for other in to if other != words] for each, to in said.items()}
        said[key] = [*said.get(key, []), words][-_VOTES:]
        self.said = {each: to for each, to in said.items() if to}
        best, *others = sorted(self.said, key=lambda each: len(self.said[each]), reverse=True)
        count = len(self.said[best])
        if others and count == len(self.said[others[0]]):
            self.state = "quarantined"
            return
        if normalise(self.answer) != best:
            self.answer = answer if key == best else best
        if count >= _STABLE or (again and not others):
            self.state = "stable"

    def join(self, other: Entry) -> None:
        """Take in what another entry knows, which turned out to be the same question."""
        for key, to in other._said().items():
            for words in to:
                self.vote(other.answer if key == normalise(other.answer) else key, words)
        now_s = max(self.hot_s, other.hot_s)
        self.hot, self.hot_s = self.heat(now_s) + other.heat(now_s), now_s
        self.used_s = max(self.used_s, other.used_s)

    def _said(self) -> dict[str, list[str]]:
        """Return its answers; one that was never contradicted was given to its first wording."""
        return self.said or {normalise(self.answer): [normalise(self.question)]}

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
        """How likely the model is right about it, drawn towards nearly as often as in its test."""
        return (self.ok + 19.0 * self.score) / (self.ok + self.bad + 20.0)
