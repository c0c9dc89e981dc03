"""Where a question is answered, given what the memory found: pure.

Four ways: *direct* gives the remembered answer, *edge* asks the edge's own model, *examples* asks
it with remembered answers before the question, *cloud* sends it up. There are two rules: a readable
one for as long as little is known of how well each way does (``by_rule``), and one that takes the
most worth among those that are good enough (``by_worth``).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Way = Literal["direct", "edge", "examples", "cloud"]

_SAME: Final = 0.99
_ALIKE: Final = 0.90
_MANY_EXAMPLES: Final = 3


class WayPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What each way costs, against 1 for a right answer; the edge's own order is kept."""

    direct: float = 0.0
    edge: float = 0.004
    examples: float = 0.008
    cloud: float = 0.10

    def of(self, way: Way) -> float:
        """Return the price of one way."""
        price: float = getattr(self, way)
        return price


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a question before anybody answers it. Chances lie in [0, 1].

    ``same`` is how likely the nearest entry is the same question, ``exact`` whether it was asked in
    these words, ``stable`` whether its answer has been confirmed; ``short`` whether the task's
    answers are short enough to be given again as they are. ``direct``, ``examples``, ``edge`` and
    ``cloud`` are how likely each way is right, None where it is not open. ``ghost`` says that the
    edge's model has learned this question. ``good_examples`` counts examples of the same kind.
    """

    same: float = 0.0
    exact: bool = False
    stable: bool = False
    short: bool = True
    ghost: bool = False
    good_examples: int = 0
    direct: float | None = None
    examples: float | None = None
    edge: float | None = None
    cloud: float = 0.93
    cloud_open: bool = True


class Decision(msgspec.Struct, frozen=True):
    """The way taken, why, and how likely it is right."""

    way: Way
    why: str
    chance: float
    degraded: bool = False


def by_rule(situation: Situation, *, least: float | None = None) -> Decision:
    """Decide by the readable rule, the first that holds; ``least`` is the least chance wanted."""
    enough = situation.cloud - 0.02 if least is None else least
    if not situation.cloud_open:
        return _without_cloud(situation)
    same, edge, shown = situation.same, situation.edge or 0.0, situation.examples or 0.0
    again = situation.direct is not None and situation.stable and situation.short
    examples = situation.examples is not None
    many = situation.good_examples >= _MANY_EXAMPLES
    rules: list[tuple[bool, Decision]] = [
        (again and situation.exact, Decision("direct", "asked before", situation.direct or 0.0)),
        (again and same >= _SAME, Decision("direct", "the same question", situation.direct or 0.0)),
        (situation.ghost and edge > 0, Decision("edge", "learned", edge)),
        (examples and same >= _ALIKE, Decision("examples", "nearly surely the same", shown)),
        (many and shown >= enough, Decision("examples", "good examples of its kind", shown)),
        (edge >= enough, Decision("edge", "the edge is sure enough", edge)),
    ]
    otherwise = Decision("cloud", "nothing else is sure enough", situation.cloud)
    return next((decision for holds, decision in rules if holds), otherwise)


def by_worth(
    situation: Situation, prices: WayPrices | None = None, *, least: float | None = None
) -> Decision:
    """Take the way of the most worth among those whose chance is ``least`` at least.

    None given, that is the cloud's less 0.02. Worth is the chance less the price. Where none is
    good enough it is the cloud.
    """
    prices = prices or WayPrices()
    enough = situation.cloud - 0.02 if least is None else least
    if not situation.cloud_open:
        return _without_cloud(situation)
    ways = {way: chance for way, chance in _open(situation).items() if chance >= enough}
    worth = {way: chance - prices.of(way) for way, chance in ways.items()}
    if situation.cloud >= enough:
        worth["cloud"] = situation.cloud - prices.cloud
    if not worth:
        return Decision("cloud", "nothing is good enough", situation.cloud)
    best = max(worth, key=worth.__getitem__)
    return Decision(best, "the most worth", ways.get(best, situation.cloud))


def _open(situation: Situation) -> dict[Way, float]:
    """Return the ways below the cloud, with their chances."""
    ways: dict[Way, float] = {}
    if situation.direct is not None and situation.short:
        ways["direct"] = situation.direct
    if situation.edge is not None:
        ways["edge"] = situation.edge
    if situation.examples is not None:
        ways["examples"] = situation.examples
    return ways


def _without_cloud(situation: Situation) -> Decision:
    """Return the best that the edge has; it is degraded unless it would have been taken anyway."""
    ways = _open(situation) or {"edge": 0.0}
    best = max(ways, key=ways.__getitem__)
    return Decision(best, "the cloud cannot be reached", ways[best], degraded=True)
