"""Who asks what: a few facts often and most seldom, changing by the day, in several wordings."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.hotspot.facts import HotFact
    from experiments.hotspot.settings import HotspotSettings

_BURST_EVERY_DAYS: Final = 3
_BURST_SHARE: Final = 0.10
_BURST_FACTS: Final = 20
_HEAD: Final = 0.10


class HotQuestion(NamedTuple):
    """One question of one day; day 0 is the warm-up."""

    day: int
    fact: HotFact
    text: str


def draw_questions(facts: Sequence[HotFact], settings: HotspotSettings) -> list[HotQuestion]:
    """Return the warm-up's questions and those of each day, the same for the same seed."""
    draw = random.Random(f"workload {settings.seed}")  # noqa: S311 - guards nothing
    ranked = _ranked(facts, draw)
    weights = list(accumulate((rank + 1) ** -settings.zipf for rank in range(len(ranked))))
    asked = _day(0, ranked, weights, settings.warm_up, (), draw, settings)
    for day in range(1, settings.days + 1):
        _churn(ranked, settings.churn, draw)
        burst = draw.sample(ranked, min(_BURST_FACTS, len(ranked)))
        hot = burst if day % _BURST_EVERY_DAYS == 0 else ()
        asked += _day(day, ranked, weights, settings.questions_a_day, hot, draw, settings)
    return asked


def _ranked(facts: Sequence[HotFact], draw: random.Random) -> list[HotFact]:
    """Return facts by a mix of how known they are and chance."""
    known = {
        fact.number: rank for rank, fact in enumerate(sorted(facts, key=lambda f: -f.popularity))
    }
    return sorted(
        facts, key=lambda fact: 0.5 * known[fact.number] + 0.5 * draw.random() * len(facts)
    )


def _churn(ranked: list[HotFact], share: float, draw: random.Random) -> None:
    """Exchange a share of the head with facts from the tail."""
    head = max(1, int(_HEAD * len(ranked)))
    for _ in range(round(share * head)):
        one, other = draw.randrange(head), draw.randrange(head, len(ranked))
        ranked[one], ranked[other] = ranked[other], ranked[one]


def _day(
    day: int,
    ranked: Sequence[HotFact],
    weights: list[float],
    count: int,
    burst: Sequence[HotFact],
    draw: random.Random,
    settings: HotspotSettings,
) -> list[HotQuestion]:
    asked = []
    for _ in range(count):
        if burst and draw.random() < _BURST_SHARE:
            fact = draw.choice(burst)
        else:
            (fact,) = draw.choices(ranked, cum_weights=weights)
        text = draw.choice(fact.wordings())
        if draw.random() < settings.typos:
            text = _slip(text, draw)
        asked.append(HotQuestion(day, fact, text))
    return asked


def _slip(text: str, draw: random.Random) -> str:
    """Return a text with a slip: letters exchanged, one lost or doubled, or no capitals."""
    place = draw.randrange(1, len(text) - 2)
    kind = draw.randrange(4)
    if kind == 0:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if kind == 1:
        return text[:place] + text[place + 1 :]
    if kind == 2:  # noqa: PLR2004
        return text[:place] + text[place] + text[place:]
    return text.lower()
