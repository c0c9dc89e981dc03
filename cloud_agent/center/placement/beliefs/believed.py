"""All beliefs of a centre, and the outlooks that follow from them or from the catalogue alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cloud_agent.center.placement.beliefs.outlook import Outlook
from cloud_agent.center.placement.beliefs.quality import QualityBelief
from cloud_agent.center.placement.beliefs.speed import NOISE, SpeedBelief

if TYPE_CHECKING:
    from cloud_agent.center.catalogue.cards import Catalogue
    from cloud_agent.center.placement.jobs import JobOutcome

_PRIOR_WEIGHT: Final = 6.0
_SPREAD: Final = math.sqrt(math.expm1(NOISE))
_MEMORY: Final = 0.98
_CERTAIN: Final = 1e-3
"""No prior is surer than that: a belief of exactly 0 or 1 could never be corrected."""


class Surprise(NamedTuple):
    """−ln of how likely an outcome was: its grade, and its service time."""

    quality: float
    speed: float

    @property
    def total(self) -> float:
        """The two together: what active inference keeps small."""
        return self.quality + self.speed


class Beliefs:
    """What is believed of every model at every kind of job, and of every node."""

    def __init__(self, catalogue: Catalogue, *, prior_weight: float = _PRIOR_WEIGHT) -> None:
        """Begin with the catalogue, as if ``prior_weight`` answers had shown each of its grades."""
        self._catalogue = catalogue
        self._prior_weight = prior_weight
        self._quality: dict[tuple[str, str], QualityBelief] = {}
        self._speed: dict[str, SpeedBelief] = {}
        self._tokens = dict(catalogue.tokens)

    def quality(self, model: str, kind: str) -> QualityBelief:
        """Return the belief about a model at a kind of job."""
        belief = self._quality.get((model, kind))
        if belief is None:
            prior = self._catalogue[model].quality[kind]
            prior = min(max(prior, _CERTAIN), 1 - _CERTAIN)
            belief = self._quality[model, kind] = QualityBelief(prior, self._prior_weight)
        return belief

    def speed(self, node: str) -> SpeedBelief:
        """Return the belief about a node."""
        belief = self._speed.get(node)
        if belief is None:
            belief = self._speed[node] = SpeedBelief()
        return belief

    def told(self) -> dict[str, Any]:
        """Return every belief that anything has been learned for, in plain values.

        ``low`` and ``high`` are 95 % of it, about: two standard deviations either way.
        """
        return {
            "quality": [
                {"model": model, "kind": kind, **_interval(belief.mean, belief.deviation, 0.0, 1.0)}
                for (model, kind), belief in sorted(self._quality.items())
            ],
            "speed": [
                {"node": node, **_interval(belief.mu, math.sqrt(belief.variance))}
                for node, belief in sorted(self._speed.items())
            ],
        }

    def outlook(self, node: str, model: str, kind: str) -> Outlook:
        """Return what is expected of a job of this kind on a node that runs this model."""
        quality = self.quality(model, kind)
        speed = self.speed(node)
        service_s = self._tokens[kind] * self._catalogue[model].token_s * speed.factor
        return Outlook(quality.mean, service_s, service_s * speed.spread, quality.nats, speed.nats)

    def learn(self, outcome: JobOutcome) -> Surprise:
        """Take in what came of a job, and return how surprising it was."""
        quality = speed = 0.0
        if outcome.grade is not None:
            belief = self.quality(outcome.model, outcome.kind)
            quality = belief.surprise(outcome.grade)
            belief.learn(outcome.grade)
        if outcome.service_s > 0 and outcome.tokens > 0:
            nominal_s = outcome.tokens * self._catalogue[outcome.model].token_s
            log_slowdown = math.log(outcome.service_s / nominal_s)
            node = self.speed(outcome.node)
            speed = node.surprise(log_slowdown)
            node.learn(log_slowdown, censored=outcome.censored)
            if not outcome.censored:
                tokens = self._tokens[outcome.kind]
                self._tokens[outcome.kind] = _MEMORY * tokens + (1 - _MEMORY) * outcome.tokens
        return Surprise(quality, speed)


def _interval(
    mean: float, deviation: float, least: float = -math.inf, most: float = math.inf
) -> dict[str, float]:
    low, high = max(mean - 2 * deviation, least), min(mean + 2 * deviation, most)
    return {"mean": mean, "low": low, "high": high}


class CatalogueOutlooks:
    """What the catalogue says, whatever has been seen."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def outlook(self, node: str, model: str, kind: str) -> Outlook:
        """Return what the catalogue promises of this model; a node is as fast as another."""
        del node
        card = self._catalogue[model]
        service_s = self._catalogue.tokens[kind] * card.token_s
        return Outlook(card.quality[kind], service_s, service_s * _SPREAD)
