"""What a question brings to mind: candidates, how likely each is the same, good examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.memory.verifier import logit
from edge_agent.memory.wording import normalise, read_question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_agent.memory.eligible import Eligible
    from edge_agent.memory.entries import Entry
    from edge_agent.memory.index import ClusterIndex, Vector
    from edge_agent.memory.verifier import Likeness, QuestionVerifier
    from edge_agent.memory.wording import Question

WORDINGS_STEP: Final = 8
"""A vector's key is its entry's id times this, plus the place of the wording."""
_CHECKED: Final = 4
_SPREAD: Final = 0.7
_LEAST_GAIN: Final = 0.55


class Recalled(NamedTuple):
    """An entry that a question brought to mind, by its nearest wording."""

    entry: Entry
    wording: int
    likeness: Likeness
    same: float
    """How likely it is the same question, with what its own uses say."""
    exact: bool

    @property
    def log_odds(self) -> float:
        """The log odds of ``same`` before the entry's own offset."""
        return logit(self.same) - self.entry.offset


class Retriever:
    """Finds candidates; entries that are not ``eligible`` are passed over."""

    def __init__(self, verifier: QuestionVerifier) -> None:
        self._verifier = verifier

    def candidates(
        self,
        asked: Question,
        vector: Vector,
        index: ClusterIndex,
        entries: Mapping[int, Entry],
        eligible: Eligible,
    ) -> list[Recalled]:
        """Return the candidates, the likeliest first."""
        nearest: dict[int, tuple[int, float]] = {}
        for key, cosine in index.search(vector):
            entry_id, wording = divmod(key, WORDINGS_STEP)
            if entry_id not in nearest and eligible.counts(entries[entry_id]):
                nearest[entry_id] = (wording, cosine)
        ranked = list(nearest.items())
        found = []
        for place, (entry_id, (wording, cosine)) in enumerate(ranked[:_CHECKED]):
            others = ranked[1] if place == 0 and len(ranked) > 1 else ranked[0]
            runner_up = others[1][1] if len(ranked) > 1 else 0.0
            found.append(self._judge(asked, entries[entry_id], wording, cosine, runner_up))
        return sorted(found, key=lambda each: -each.same)

    def asked_before(
        self, asked: Question, entries: Iterable[Entry], eligible: Eligible
    ) -> list[Recalled]:
        """Return those of the entries that count, of which one wording is the question's own."""
        return [
            self._judge(asked, entry, _place_of(asked, entry), 1.0, 0.0)
            for entry in entries
            if eligible.counts(entry)
        ]

    def _judge(
        self, asked: Question, entry: Entry, wording: int, cosine: float, runner_up: float
    ) -> Recalled:
        known = read_question(entry.wordings[wording])
        likeness = self._verifier.compare(asked, known, cosine, runner_up)
        exact = any(asked.normal == normalise(text) for text in entry.wordings)
        same = 1.0 if exact else self._verifier.probability(likeness, entry.offset)
        return Recalled(entry, wording, likeness, same, exact)


def _place_of(asked: Question, entry: Entry) -> int:
    return [normalise(text) for text in entry.wordings].index(asked.normal)


def score(candidate: Recalled, now_s: float, budget_tokens: int = 512) -> float:
    """Return how good an example an entry is: likeness, names, whether it helped, its freshness."""
    entry, likeness = candidate.entry, candidate.likeness
    fresh = 1 / (1 + max(0.0, now_s - entry.created_s) / (30 * 86_400))
    length = min(1.0, len(entry.answer) / 4 / budget_tokens)
    return (
        likeness.cosine
        + 0.5 * likeness.names
        + 0.2 * likeness.rewording
        + 0.3 * entry.chance_helps
        + 0.1 * fresh
        - 0.1 * length
    )


def examples(candidates: Sequence[Recalled], now_s: float, most: int = 4) -> list[Recalled]:
    """Return the examples worth showing, the best first.

    One that is surely the same question is enough. Otherwise each further one must add to those
    chosen: what it has in likeness beyond what it shares with them.
    """
    if candidates and candidates[0].same >= 0.9:  # noqa: PLR2004
        return [candidates[0]]
    chosen: list[Recalled] = []
    rest = [each for each in candidates if not each.likeness.guard or each.same > 0]
    while rest and len(chosen) < most:
        gains = {
            place: _SPREAD * score(each, now_s) / 2
            - (1 - _SPREAD) * (each.entry.answer in {c.entry.answer for c in chosen})
            for place, each in enumerate(rest)
        }
        best = max(gains, key=gains.__getitem__)
        if gains[best] < _LEAST_GAIN and chosen:
            break
        chosen.append(rest.pop(best))
    return chosen
