"""The edge's own model, scripted: what it knows, how it uses an example, what a night teaches it.

Every draw is by fact, day or question and never by the order of calls, so that two systems which
ask it the same hear the same.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.hotspot.cloud import tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.hotspot.facts import HotFact
    from experiments.hotspot.settings import HotspotSettings

_NOISE: Final = 0.35
_SURE, _UNSURE = 0.8, 0.3
_NOTHING: Final = "no idea"
OWN_TOKENS: Final = 14
"""Of an instruction and an answer."""
TURN_TOKENS: Final = 6
"""Of what parts an example from the next."""


class Generated(NamedTuple):
    """What the model said, how sure it is, and the tokens that it took."""

    answer: str
    confidence: float
    tokens: int


class ScriptedEdge:
    """A small model that knows some facts, copies good examples, and learns at night."""

    def __init__(self, facts: Sequence[HotFact], settings: HotspotSettings) -> None:
        self._settings = settings
        least, most = settings.edge_knows
        ranked = sorted(facts, key=lambda fact: fact.popularity)
        self._known = {
            fact.number
            for rank, fact in enumerate(ranked)
            if self._draw("knows", fact.number)
            < least + (most - least) * rank / max(1, len(ranked) - 1)
        }
        self.learned: dict[int, str] = {}
        """What it was taught at night, by fact: right or wrong, as it was told."""

    def closed_book(self, fact: HotFact, text: str, at: int) -> Generated:
        """Answer from what it knows; ``at`` numbers the question."""
        answer = self.learned.get(fact.number) or (
            fact.answers[0] if fact.number in self._known else _NOTHING
        )
        knows = answer != _NOTHING
        noise = random.Random(f"sure {self._settings.seed} {at}").gauss(0.0, _NOISE)  # noqa: S311
        confidence = min(1.0, max(0.0, (_SURE if knows else _UNSURE) + noise))
        return Generated(answer, confidence, tokens_of(text) + OWN_TOKENS)

    def with_examples(
        self, fact: HotFact, text: str, at: int, shown: Sequence[tuple[int, str, str]]
    ) -> Generated:
        """Answer with examples before the question: the fact of each, its question and answer."""
        own = self.closed_book(fact, text, at)
        tokens = own.tokens + sum(tokens_of(q) + tokens_of(a) + TURN_TOKENS for _, q, a in shown)
        right = [answer for number, _, answer in shown if number == fact.number]
        chance = self._draw("uses", at)
        if right and chance < self._settings.edge_by_example:
            return Generated(right[0], max(own.confidence, _SURE), tokens)
        if not right and shown and chance < self._settings.edge_copies:
            return Generated(shown[0][2], own.confidence, tokens)
        return Generated(own.answer, own.confidence, tokens)

    def learn(self, facts: Sequence[tuple[HotFact, str]], night: int) -> None:
        """Teach it answers; most of them stay."""
        for fact, answer in facts:
            if self._draw(f"learns {night}", fact.number) < self._settings.learned_well:
                self.learned[fact.number] = answer

    def forget(self, night: int) -> None:
        """Lose a few of what it was taught."""
        share = self._settings.forgotten_a_night
        lost = [f for f in self.learned if self._draw(f"forgets {night}", f) < share]
        for number in lost:
            del self.learned[number]

    def _draw(self, what: str, number: int) -> float:
        return random.Random(f"{what} {self._settings.seed} {number}").random()  # noqa: S311
