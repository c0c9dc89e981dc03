"""How good a model is at a kind of job: a Beta belief about the grade of its answers.

Every node that holds a model shares the belief: the same file gives the same answers.
"""

from __future__ import annotations

import math
from typing import Final

_FORGETTING: Final = 0.999
_ASYMPTOTIC: Final = 6.0
"""From here on the series for the digamma function is exact to ten digits."""


class QualityBelief:
    """Beta(α, β) about the mean grade, begun at a prior that it slowly returns to.

    ``mean`` is the expected grade and ``nats`` the information that the next grade brings; both
    are kept, since they are read far more often than they change.
    """

    __slots__ = ("_alpha0", "_beta0", "_forgetting", "alpha", "beta", "mean", "nats")

    def __init__(self, prior: float, weight: float, forgetting: float = _FORGETTING) -> None:
        """Believe in a grade of ``prior`` as if ``weight`` answers had shown it."""
        self._alpha0 = weight * prior
        self._beta0 = weight * (1 - prior)
        self._forgetting = forgetting
        self._become(self._alpha0, self._beta0)

    @property
    def deviation(self) -> float:
        """How far the true mean grade may be off, as a standard deviation."""
        return math.sqrt(self.mean * (1 - self.mean) / (self.alpha + self.beta + 1))

    def learn(self, grade: float) -> None:
        """Take in the grade of one answer, in [0, 1]."""
        keep = self._forgetting
        self._become(
            self._alpha0 + keep * (self.alpha - self._alpha0) + grade,
            self._beta0 + keep * (self.beta - self._beta0) + 1 - grade,
        )

    def surprise(self, grade: float) -> float:
        """Return −ln of how likely such a grade was."""
        return -(grade * math.log(self.mean) + (1 - grade) * math.log1p(-self.mean))

    def _become(self, alpha: float, beta: float) -> None:
        self.alpha, self.beta = alpha, beta
        self.mean = alpha / (alpha + beta)
        self.nats = information_nats(alpha, beta)


def information_nats(alpha: float, beta: float) -> float:
    """Return the mutual information between θ ~ Beta(α, β) and one draw of Bernoulli(θ).

    That is the entropy of the draw less what is left of it when θ is known:
    H(p) − [ψ(n+1) − p ψ(α+1) − (1−p) ψ(β+1)] with n = α+β and p = α/n.
    """
    count = alpha + beta
    p = alpha / count
    entropy = -p * math.log(p) - (1 - p) * math.log1p(-p)
    left = digamma(count + 1) - p * digamma(alpha + 1) - (1 - p) * digamma(beta + 1)
    return max(entropy - left, 0.0)


def digamma(x: float) -> float:
    """Return ψ(x) for x > 0, by recurrence and the asymptotic series."""
    shift = 0.0
    while x < _ASYMPTOTIC:
        shift -= 1 / x
        x += 1
    inverse = 1 / (x * x)
    tail = inverse * (
        1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse * (1 / 240 - inverse / 132)))
    )
    return shift + math.log(x) - 0.5 / x - tail
