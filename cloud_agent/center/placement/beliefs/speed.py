"""How fast a node is: a normal belief about the logarithm of its slowdown.

The slowdown is what a job took, over what its tokens take by the catalogue.
"""

from __future__ import annotations

import math
from typing import Final

NOISE: Final = 0.0325
"""Variance of the log service time of one job around its node's."""
_START: Final = 0.25
_FORGETTING: Final = 0.97
_SURPRISED: Final = 3.0


class SpeedBelief:
    """N(μ, v) about the log slowdown of one node.

    ``factor`` is the expected slowdown, ``spread`` the standard deviation of the next service time
    over its mean, and ``nats`` the information that the next service time brings. What a node did
    long ago counts less and less, and an answer three deviations off opens the belief anew.
    """

    __slots__ = ("factor", "mu", "nats", "spread", "variance")

    def __init__(self, mu: float = 0.0, variance: float = _START) -> None:
        self._become(mu, variance)

    def learn(self, log_slowdown: float, *, censored: bool = False) -> None:
        """Take in one service time.

        Where it is ``censored``, the job took longer than that, nobody knows how much: a bound
        below what was expected tells nothing, one above is taken for the time itself, and the
        belief stays open.
        """
        if censored and log_slowdown <= self.mu:
            return
        variance = min(self.variance / _FORGETTING, _START)
        if abs(log_slowdown - self.mu) > _SURPRISED * math.sqrt(variance + NOISE):
            variance = _START
        gain = variance / (variance + NOISE)
        left = _START if censored else (1 - gain) * variance
        self._become(self.mu + gain * (log_slowdown - self.mu), left)

    def surprise(self, log_slowdown: float) -> float:
        """Return −ln of the density at that service time."""
        variance = self.variance + NOISE
        return 0.5 * ((log_slowdown - self.mu) ** 2 / variance + math.log(math.tau * variance))

    def _become(self, mu: float, variance: float) -> None:
        self.mu, self.variance = mu, variance
        self.factor = math.exp(mu + variance / 2)
        self.spread = math.sqrt(math.expm1(variance + NOISE))
        self.nats = 0.5 * math.log1p(variance / NOISE)
