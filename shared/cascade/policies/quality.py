"""Hold a tolerated rate of disagreement with the tiers above, with as few escalations as it takes.

What comes back from above is a free label: our own answer agreed with it, or not. A small audit
share of confident prompts goes up as well, so that the sure answers are checked too. From both the
policy learns how likely disagreement is at each confidence, and keeps no more than it may.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from shared.cascade.policies.adapting import Learn
from shared.cascade.policies.base import Routing
from shared.cascade.policies.change import EVIDENCE, ChangeDetector
from shared.cascade.policies.response_curve import (
    BINS,
    CurveMemory,
    ResponseCurve,
    bin_of,
    lower_edge,
)
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext

_REFIT = 20


class Quality(Closed, frozen=True, kw_only=True, tag_field="kind", tag="quality"):
    """Escalate as little as a tolerated disagreement allows."""

    tolerance: Annotated[
        float,
        Meta(
            gt=0,
            lt=1,
            description="prompts whose answer the tiers above would change, as a share of all",
        ),
    ] = 0.05
    audit: Annotated[
        float, Meta(gt=0, le=1, description="share of confident prompts sent up to be checked")
    ] = 0.05
    certainty: Annotated[
        float, Meta(ge=0.5, lt=1, description="how sure to be that the tolerance is held")
    ] = 0.95
    window_prompts: Annotated[
        int, Meta(ge=100, le=10_000_000, description="prompts that are remembered")
    ] = 5_000
    learn: Learn = False


class QualityMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a quality policy has counted and learned."""

    response: CurveMemory
    counts: Annotated[
        tuple[Annotated[float, Meta(ge=0)], ...], Meta(min_length=BINS, max_length=BINS)
    ]
    total: Annotated[float, Meta(ge=0)]
    since_fit: Annotated[int, Meta(ge=0)]
    first_kept: Annotated[int, Meta(ge=0, le=BINS)]
    estimate: tuple[float, float, float]
    evidence: Annotated[
        tuple[Annotated[float, Meta(ge=0)], ...],
        Meta(min_length=EVIDENCE, max_length=EVIDENCE),
    ] = (0.0,) * EVIDENCE
    alarms: Annotated[int, Meta(ge=0)] = 0


class QualityPolicy:
    """Keeps from the lowest confidence at which the tolerance is held with the wanted certainty.

    The estimate is the mean over the recent prompts of the learned chance of disagreement, counted
    where they would be kept. Its upper bound adds the error of the curve and the chance error of
    as many prompts as the window holds. The chance of disagreement depends on the confidence
    alone, and so does what is labelled, so labels from the unsure end do not bias the sure one.

    When labels disagree more often than the upper bound of the curve foretold, model or tiers above
    are not what they were. In doubt every prompt goes up, which soon settles it. An alarm makes the
    policy forget, and begin anew without the belief that the model means what it says, so it keeps
    nothing until labels allow it. Where that bound holds, alarms come once in as many labels as are
    remembered on average, or less often.
    """

    learns: ClassVar = True

    def __init__(self, settings: Quality, context: PolicyContext) -> None:
        self._settings = settings
        self._draw = context.draw
        self._z = NormalDist().inv_cdf(settings.certainty)
        self._alarms = 0
        self._begin(slope=-1.0)

    def _begin(self, *, slope: float) -> None:
        """Know nothing; with a slope of -1 the model is believed to mean what it says."""
        memory = self._settings.window_prompts
        self._response = ResponseCurve(slope=slope, memory=memory)
        self._change = ChangeDetector(apart=memory)
        self._counts = [0.0] * BINS
        self._total = 0.0
        self._since_fit = 0
        self._first_kept = BINS
        self._estimate = (0.0, 0.0, 0.0)

    def decide(self, seen: Observation) -> Routing:
        """Count the prompt, and keep it if it is sure enough and not drawn for an audit."""
        index = bin_of(seen.confidence)
        self._counts[index] += 1.0
        self._total += 1.0
        self._since_fit += 1
        if self._since_fit >= _REFIT:
            self._refit()
        audited = self._draw.random() < self._settings.audit or self._change.doubtful
        keep = index >= self._first_kept and not audited
        return Routing(0 if keep else 1, lower_edge(self._first_kept))

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Take the answer from above as the label of our own; if that alarms, begin anew."""
        del sent
        index, differs = bin_of(seen.confidence), not returned.agreed
        foretold = self._response.upper(index, self._z)
        if self._change.add(foretold, differs, sure=index >= self._first_kept):
            self._alarms += 1
            self._begin(slope=0.0)
        self._response.add(index, differs)

    def report(self) -> dict[str, float]:
        """Return the estimated rate of disagreement and its interval."""
        estimate, low, high = self._estimate
        return {
            "disagreement_ratio": estimate,
            "disagreement_low_ratio": low,
            "disagreement_high_ratio": high,
            "alarms_total": float(self._alarms),
        }

    def remember(self, now_s: float) -> QualityMemory:
        """Return what was counted and learned."""
        del now_s
        return QualityMemory(
            self._response.remember(),
            tuple(self._counts),
            self._total,
            self._since_fit,
            self._first_kept,
            self._estimate,
            self._change.remember(),
            self._alarms,
        )

    def recall(self, memory: Any, at_s: float) -> None:
        """Take that up."""
        del at_s
        read = msgspec.convert(memory, QualityMemory)
        self._response.recall(read.response)
        self._counts, self._total = list(read.counts), read.total
        self._since_fit, self._first_kept = read.since_fit, read.first_kept
        self._estimate = read.estimate
        self._change.recall(read.evidence)
        self._alarms = read.alarms
        if self._total >= _REFIT:
            self._choose()  # settings may be others than they were

    def _refit(self) -> None:
        """Fit the curve, and go by it."""
        self._since_fit = 0
        self._response.fit()
        excess = self._total / self._settings.window_prompts
        if excess > 1.0:
            self._counts = [count / excess for count in self._counts]
            self._total /= excess
        self._choose()

    def _choose(self) -> None:
        """Find the lowest bin from which the bound still holds."""
        first = BINS
        while first > 0 and self._bound(first - 1)[2] <= self._settings.tolerance:
            first -= 1
        self._first_kept = first
        self._estimate = self._bound(first)

    def _bound(self, first: int) -> tuple[float, float, float]:
        """Return estimate, lower and upper bound of disagreement if all from ``first`` is kept."""
        unchecked = 1.0 - self._settings.audit
        mean, error = self._response.mean(self._counts, first, self._total)
        rate = mean * unchecked
        chance = rate / self._total
        half = self._z * math.sqrt((error * unchecked) ** 2 + chance)
        return rate, max(rate - half, 0.0), rate + half
