"""Send each prompt where it is worth the most for what it costs: keep, next tier, or past it.

A prompt so unsure that the next tier would most likely escalate it too had better go straight to
the one above. Where to cut depends on what the links cost and on how the tiers differ, and both
show in the hops that come back.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from shared.cascade.policies.adapting import Learn
from shared.cascade.policies.base import Routing
from shared.cascade.policies.response_curve import (
    BINS,
    CurveMemory,
    ResponseCurve,
    bin_of,
    log_odds,
    lower_edge,
)
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext

_REFIT = 20


class Skip(Closed, frozen=True, kw_only=True, tag_field="kind", tag="skip"):
    """Escalate where a corrected answer is worth the cost of the way there."""

    worth: Annotated[
        float,
        Meta(gt=0, le=1e9, description="what a corrected answer is worth, in units of link cost"),
    ] = 10.0
    costs: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=1e9)], ...],
        Meta(min_length=1, max_length=2, description="cost of a prompt to the next tier, past it"),
    ] = (1.0, 1.0)
    onward: Annotated[
        float,
        Meta(ge=0, le=1e9, description="cost of a prompt that the next tier sends on in its turn"),
    ] = 1.0
    explore: Annotated[
        float, Meta(ge=0, le=1, description="share of prompts sent up to learn, whatever the rule")
    ] = 0.01
    window_prompts: Annotated[
        int, Meta(ge=100, le=10_000_000, description="prompts that are remembered")
    ] = 5_000
    learn: Learn = False


class SkipMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a skip policy has learned: of each way up, and of what the next tier sends on."""

    change: tuple[CurveMemory, ...]
    sent_on: CurveMemory
    gains: tuple[tuple[float, float], ...]
    since_fit: Annotated[int, Meta(ge=0)]
    way: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=BINS, max_length=BINS)]
    threshold: float


class SkipPolicy:
    """Compares worth and cost of each way, confidence by confidence.

    For either way up it learns how likely the answer is to change, and how much better a changed
    answer is. The top's word is final: right with its confidence c, which gains 2c − 1. A tier
    between is another witness: when it disagrees with us, the odds that it is right are its own
    odds over ours. For the next tier it also learns how likely that one is to send the prompt on,
    which costs ``onward`` more. The way with the largest worth · gain − cost is taken; if none is
    positive the prompt stays.
    """

    learns: ClassVar = True

    def __init__(self, settings: Skip, context: PolicyContext) -> None:
        self._settings = settings
        self._draw = context.draw
        self._top = context.tiers_above
        ways = min(len(settings.costs), context.tiers_above)
        memory = settings.window_prompts
        self._change = [ResponseCurve(memory=memory) for _ in range(ways)]
        self._sent_on = ResponseCurve(memory=memory)
        self._gains = [_Mean(prior=0.6) for _ in range(ways)]
        self._since_fit = 0
        self._way = [0] * BINS
        self._threshold = 0.0
        self._plan()

    def decide(self, seen: Observation) -> Routing:
        """Look up the best way for this confidence; now and then try another."""
        if self._change and self._draw.random() < self._settings.explore:
            return Routing(1 + int(self._draw.random() * len(self._change)), self._threshold)
        return Routing(self._way[bin_of(seen.confidence)], self._threshold)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Count whether the answer changed, and whether the next tier sent the prompt on."""
        index = bin_of(seen.confidence)
        way = min(sent.up, len(self._change)) - 1
        self._change[way].add(index, not returned.agreed)
        if not returned.agreed:
            self._gains[way].add(max(self._gain(seen.confidence, returned), 0.0))
        if way == 0:
            self._sent_on.add(index, returned.up > 1)
        self._since_fit += 1
        if self._since_fit >= _REFIT:
            self._since_fit = 0
            for response in (*self._change, self._sent_on):
                response.fit()
            self._plan()

    def report(self) -> dict[str, float]:
        """Return the gain of a changed answer for each way up."""
        return {f"gain_{way}_ratio": gain.value for way, gain in enumerate(self._gains, start=1)}

    def remember(self, now_s: float) -> SkipMemory:
        """Return what was learned."""
        del now_s
        return SkipMemory(
            tuple(response.remember() for response in self._change),
            self._sent_on.remember(),
            tuple((gain.value, gain.weight) for gain in self._gains),
            self._since_fit,
            tuple(self._way),
            self._threshold,
        )

    def recall(self, memory: Any, at_s: float) -> None:
        """Take that up; as many ways must lead up as there were."""
        del at_s
        read = msgspec.convert(memory, SkipMemory)
        if not len(read.change) == len(read.gains) == len(self._change):
            raise ValueError(
                f"{len(read.change)} ways led up, and now there are {len(self._change)}"
            )
        for response, learned in zip(self._change, read.change, strict=True):
            response.recall(learned)
        self._sent_on.recall(read.sent_on)
        self._gains = [_Mean(prior=value, weight=weight) for value, weight in read.gains]
        self._since_fit = read.since_fit
        self._way, self._threshold = list(read.way), read.threshold

    def _gain(self, own: float, returned: Feedback) -> float:
        """Return how much likelier right a changed answer is than our own."""
        if returned.up == self._top:
            return 2.0 * returned.confidence - 1.0
        return math.tanh((log_odds(returned.confidence) - log_odds(own)) / 2.0)

    def _plan(self) -> None:
        """Choose the way for every bin, and the lowest confidence that is kept."""
        for index in range(BINS):
            best, value = 0, 0.0
            for way, response in enumerate(self._change):
                gain = response.probability(index) * self._gains[way].value
                net = self._settings.worth * gain - self._cost(way, index)
                if net > value:
                    best, value = way + 1, net
            self._way[index] = best
        kept = [index for index in range(BINS) if not self._way[index]]
        self._threshold = lower_edge(kept[0]) if kept else 1.0

    def _cost(self, way: int, index: int) -> float:
        cost = self._settings.costs[way]
        if way == 0 and len(self._change) > 1:
            cost += self._settings.onward * self._sent_on.probability(index)
        return cost


class _Mean:
    """A running mean that begins with a prior worth a few observations and fades slowly."""

    def __init__(self, *, prior: float, weight: float = 10.0) -> None:
        self.value = prior
        self.weight = weight

    def add(self, value: float) -> None:
        self.weight = min(self.weight + 1.0, 1_000.0)
        self.value += (value - self.value) / self.weight
