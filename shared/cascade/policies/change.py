"""Notice that events have become likelier than they were foretold: a sequential test.

The statistic of Shiryaev and Roberts, as an *e-detector* (Shin, Ramdas, Rinaldo: *E-detectors: a
nonparametric framework for sequential change detection*, 2023). With each observation R becomes
(R + 1) · L, where L is the likelihood ratio of "the odds have grown by a factor" to "the chance is
as foretold". As long as the chance is at most that, the mean of R grows by no more than 1 with each
observation, so an alarm at R ≥ N comes after N observations on average, or later. The same holds
for the mean of the R of several factors, of some observations or of all, and whatever is asked:
what is tested is the relation of forecast and event, not the traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_FACTORS: Final = (2.0, 4.0, 8.0)
"""By which the odds may have grown: a large growth is noticed soon, a small one later."""
_DOUBT: Final = 0.01
"""Share of the evidence for an alarm that is reason to look closely."""
EVIDENCE: Final = 2 * len(_FACTORS)
"""How many R there are: for each factor one of all observations, and one of the sure ones."""


class ChangeDetector:
    """Raises an alarm when events are likelier than foretold, everywhere or where they are rare.

    While they are not, an alarm comes once in ``apart`` observations on average, or less often. In
    doubt whoever chooses what is observed does well to observe everything: what is chosen does not
    touch that bound, since it is chosen before the event is known.
    """

    def __init__(self, apart: float) -> None:
        self._limit = apart * EVIDENCE
        self._everywhere = [0.0] * len(_FACTORS)
        self._sure = [0.0] * len(_FACTORS)

    def add(self, foretold: float, event: bool, *, sure: bool) -> bool:
        """Take in one observation, foretold with a probability in (0, 1); say whether to alarm.

        The probability must have been said before the event was known, and so must ``sure``: that
        the observation is one of those among which events are rare.
        """
        ratios = [
            (factor if event else 1.0) / (1.0 + foretold * (factor - 1.0)) for factor in _FACTORS
        ]
        self._everywhere = _grown(self._everywhere, ratios)
        if sure:
            self._sure = _grown(self._sure, ratios)
        return self._evidence >= self._limit

    @property
    def doubtful(self) -> bool:
        """Whether there is so much evidence that it should soon be settled."""
        return self._evidence >= self._limit * _DOUBT

    @property
    def _evidence(self) -> float:
        return sum(self._everywhere) + sum(self._sure)

    def remember(self) -> tuple[float, ...]:
        """Return the evidence so far."""
        return (*self._everywhere, *self._sure)

    def recall(self, evidence: Sequence[float]) -> None:
        """Take up evidence."""
        self._everywhere = list(evidence[: len(_FACTORS)])
        self._sure = list(evidence[len(_FACTORS) :])


def _grown(evidence: Sequence[float], ratios: Sequence[float]) -> list[float]:
    return [(held + 1.0) * ratio for held, ratio in zip(evidence, ratios, strict=True)]
