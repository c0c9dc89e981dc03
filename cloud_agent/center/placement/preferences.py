"""What is wanted of an answer: what active inference prefers, and everybody is judged by.

A preference gives each outcome a number, the log of how much it is wanted up to a constant. A
policy has to be given the one that it is judged by: one that is tuned for another may lose to the
shortest queue.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Protocol, TypeAlias

import numpy as np
from msgspec import Meta

from shared.settings.base import Closed, Seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ROOT_HALF = math.sqrt(0.5)
_PER_ROOT_TAU = 1 / math.sqrt(math.tau)

Weight = Annotated[float, Meta(ge=0, le=1e6)]


class Preference(Protocol):
    """How much an outcome is wanted: one that happened, one that is expected, and many at once."""

    @property
    def limit_s(self) -> float:
        """From this latency on an answer is worth nothing."""

    def of(self, grade: float, latency_s: float) -> float:
        """Return how much an outcome was wanted."""

    def expected(self, quality: float, latency_s: float, spread_s: float) -> float:
        """Return the mean of that where the latency is N(latency, spread²), as a belief has it."""

    def fluid(self, quality: Floats, latency_s: Floats) -> Floats:
        """Return it for arrays of grades and latencies that are certain."""


class Weighted(Closed, frozen=True, kw_only=True, tag_field="kind", tag="weighted"):
    """A right answer counts ``accuracy``, its latency costs in proportion, a late one more."""

    accuracy: Annotated[Weight, Meta(description="worth of a right answer in time")] = 1.0
    latency: Annotated[Weight, Meta(description="cost of an answer that takes the whole limit")] = (
        0.35
    )
    late: Annotated[Weight, Meta(description="cost of one that takes longer")] = 0.5
    limit_s: Annotated[Seconds, Meta(description="answers are late after this, in seconds")] = 15.0

    def of(self, grade: float, latency_s: float) -> float:
        """Return grade less cost of latency; a late answer's grade does not count."""
        if latency_s > self.limit_s:
            return -self.latency - self.late
        return self.accuracy * grade - self.latency * latency_s / self.limit_s

    def expected(self, quality: float, latency_s: float, spread_s: float) -> float:
        """Return its mean: exact for a normal latency."""
        margin_s = self.limit_s - latency_s
        z = margin_s / max(spread_s, 1e-9)
        in_time = 0.5 * (1 + math.erf(z * _ROOT_HALF))
        density = _PER_ROOT_TAU * math.exp(-0.5 * min(z * z, 1400.0))
        shortened_s = self.limit_s - margin_s * in_time - spread_s * density
        return (
            self.accuracy * quality * in_time
            - self.latency * shortened_s / self.limit_s
            - self.late * (1 - in_time)
        )

    def fluid(self, quality: Floats, latency_s: Floats) -> Floats:
        """Return it for arrays."""
        late = latency_s > self.limit_s
        cost: Floats = self.latency * np.minimum(latency_s / self.limit_s, 1.0)
        worth: Floats = np.where(late, -self.late, self.accuracy * quality) - cost
        return worth


class Inverse(Closed, frozen=True, kw_only=True, tag_field="kind", tag="inverse"):
    """The utility of He et al. (2024): 1 / latency plus grade, of an answer in time.

    It pays for answers below a second almost without bound, so the latency has a floor.
    """

    limit_s: Annotated[Seconds, Meta(description="answers are late after this, in seconds")] = 15.0
    floor_s: Annotated[Seconds, Meta(description="faster than this counts no more")] = 0.2

    def of(self, grade: float, latency_s: float) -> float:
        """Return the worth of an answer; a late one has none."""
        return 1 / max(latency_s, self.floor_s) + grade if latency_s <= self.limit_s else 0.0

    def expected(self, quality: float, latency_s: float, spread_s: float) -> float:
        """Return its mean, with the inverse to the second order of the spread."""
        latency_s = max(latency_s, self.floor_s)
        z = (self.limit_s - latency_s) / max(spread_s, 1e-9)
        in_time = 0.5 * (1 + math.erf(z * _ROOT_HALF))
        bend = 1 + min(spread_s / latency_s, 1.0) ** 2
        return in_time * (min(bend / latency_s, 1 / self.floor_s) + quality)

    def fluid(self, quality: Floats, latency_s: Floats) -> Floats:
        """Return it for arrays."""
        worth: Floats = 1 / np.maximum(latency_s, self.floor_s) + quality
        return np.where(latency_s > self.limit_s, 0.0, worth)


PreferenceSettings: TypeAlias = Weighted | Inverse
