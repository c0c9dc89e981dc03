"""What is asked: how many jobs a round, and of which kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORGETTING: Final = 0.995
_RATE_WEIGHT: Final = 0.05


class Demand:
    """Counts of the kinds that fade with every job, and a smoothed number of jobs a round."""

    def __init__(self, kinds: Sequence[str]) -> None:
        """Begin with every kind as likely as another."""
        self._counts = dict.fromkeys(kinds, 1.0)
        self._rate: float | None = None

    def learn(self, kinds: Sequence[str]) -> None:
        """Take in the kinds of the jobs that came in one round."""
        for kind in kinds:
            for known in self._counts:
                self._counts[known] *= _FORGETTING
            self._counts[kind] = self._counts.get(kind, 0.0) + 1.0
        before = len(kinds) if self._rate is None else self._rate
        self._rate = before + _RATE_WEIGHT * (len(kinds) - before)

    @property
    def jobs_per_round(self) -> float:
        """How many jobs to expect in the next round."""
        return self._rate or 0.0

    @property
    def mix(self) -> Mapping[str, float]:
        """The share of each kind."""
        total = sum(self._counts.values())
        return {kind: count / total for kind, count in self._counts.items()}
