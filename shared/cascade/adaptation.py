"""What a tier learns, while it serves, of texts on which a forecast errs.

A head (``shared.runtimes.agreement_head``) foretells from the texts of the day it was fitted how
likely the top of the cascade would give the same answer. On a domain that it never saw the words
mean something else, and every prompt that comes back from above says what. An ``Adaptation`` adds
to the forecast's log-odds what it learned of the text's words and word pairs, by label: for the
label that was given, less the strongest of the others.

The weights are learned one prompt at a time by a logistic regression with a diagonal Gaussian
posterior (the online Laplace approximation of Chapelle and Li, *An empirical evaluation of Thompson
sampling*, 2011): a slot's step shrinks as its evidence grows. How far to listen is learned too:
what the words add counts by a trust, which grows and falls as the forecast with them, or that
without, made what came back the likelier, with a fixed share (Herbster and Warmuth, *Tracking the
best expert*, 1998). Both are held to what a head's log-odds turn out to mean here, a slope and a
constant, which change no order of prompts and so are not used beyond that: a policy learns them
itself, and a scale that moves would only be in its way.

Pure, and without numpy: a text costs about what a head costs it (``experiments.profiling.head``).
"""

from __future__ import annotations

import math
from array import array
from typing import Annotated, Final, NamedTuple

import msgspec

from shared.ngrams import slots_of

SLOTS: Final = 1 << 13
MOST_LABELS: Final = 32
"""With more labels than these a forecast stays as it is: every label has a table of its own."""
_PRIOR: Final = 1.0
"""Precision of a weight before it was seen: the log-odds that words add have a deviation of 1."""
_TRUST: Final = 0.1
"""What the words count before anything came back."""
_SHARE: Final = 0.002
"""Part of the trust, and of what is missing from it, that changes sides with every prompt."""
_SCALE_PRIOR: Final = 10.0
"""Precision of what a head's log-odds mean, before anything came back."""
_CLOSEST: Final = 1e-6
"""A forecast is at least this far from 0 and from 1."""


class Forecast(NamedTuple):
    """The chance that a label would be given above: ``chance`` is what is used.

    ``odds`` are the log-odds of the head, ``backing`` those that the words add, and ``slots`` the
    text's n-grams.
    """

    chance: float
    odds: float
    backing: float
    slots: tuple[int, ...]


class AdaptationMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned: a table of float32 for each label, the slots' precision, and the trust.

    ``scale`` has constant and slope of the head's log-odds, and the precision of both.
    """

    labels: Annotated[dict[str, bytes], msgspec.Meta(max_length=MOST_LABELS)]
    precision: bytes
    trust: Annotated[float, msgspec.Meta(ge=0, le=1)]
    scale: tuple[float, float, float, float]


class Adaptation:
    """Corrects the forecasts of one model for one task."""

    def __init__(self) -> None:
        self._weights: dict[str, array[float]] = {}
        self._precision = array("f", [_PRIOR]) * SLOTS
        self._trust = _TRUST
        self._scale = _Scale()

    @property
    def trust(self) -> float:
        """Return how far what the words add is believed, from 0 to 1."""
        return self._trust

    def foretell(self, text: str, label: str, given: float) -> Forecast:
        """Return the chance that above the same label would be given; ``given`` is the head's."""
        slots = tuple(slots_of(text, SLOTS - 1)[1])
        given = min(max(given, _CLOSEST), 1.0 - _CLOSEST)
        odds = math.log(given / (1.0 - given))
        backing = self._backing(label, slots)[0] if slots and self._weights else 0.0
        chance = _logistic(odds + self._trust * backing) if backing else given
        return Forecast(chance, odds, backing, slots)

    def learn(self, forecast: Forecast, label: str, final: str) -> None:
        """Take in that above the answer was ``final``, where ``forecast`` was of ``label``."""
        if not forecast.slots or not self._has_room(label, final):
            return
        agreed = final == label
        given = self._scale.apply(forecast.odds)
        self._weigh(_logistic(given), _logistic(given + forecast.backing), agreed)
        self._scale.learn(forecast.odds, agreed)
        _, rival = self._backing(label, forecast.slots)
        chance = _logistic(given + forecast.backing)
        self._step(forecast.slots, chance, label, rival if agreed else final, agreed)

    def remember(self) -> AdaptationMemory:
        """Return what was learned."""
        labels = {label: weights.tobytes() for label, weights in self._weights.items()}
        scale = self._scale
        learned = (scale.constant, scale.slope, *scale.precision)
        return AdaptationMemory(labels, self._precision.tobytes(), self._trust, learned)

    def recall(self, memory: AdaptationMemory) -> None:
        """Take that up; raises ``ValueError`` when a table is not of this size."""
        self._precision, self._trust = _table(memory.precision), memory.trust
        self._weights = {label: _table(table) for label, table in memory.labels.items()}
        self._scale = _Scale(*memory.scale)

    def _backing(self, label: str, slots: tuple[int, ...]) -> tuple[float, str | None]:
        """Return the log-odds that the words add to a label, and its strongest rival."""
        scale = 1.0 / math.sqrt(len(slots))
        scores = {
            known: scale * sum(map(weights.__getitem__, slots))
            for known, weights in self._weights.items()
        }
        own = scores.pop(label, 0.0)
        if not scores:
            return own, None
        rival = max(scores, key=scores.__getitem__)
        return own - scores[rival], rival

    def _weigh(self, given: float, adapted: float, agreed: bool) -> None:
        """Trust whoever made what came back the likelier one."""
        if not agreed:
            given, adapted = 1.0 - given, 1.0 - adapted
        trust = self._trust * adapted / (self._trust * adapted + (1.0 - self._trust) * given)
        self._trust = trust + _SHARE * (1.0 - 2.0 * trust)

    def _step(
        self, slots: tuple[int, ...], chance: float, label: str, rival: str | None, agreed: bool
    ) -> None:
        """Move the weights of the label, and those of its rival by as much the other way."""
        information = chance * (1.0 - chance) / len(slots)
        step = (agreed - chance) / math.sqrt(len(slots))
        own, other = self._table_of(label), self._table_of(rival) if rival is not None else None
        if other is not None:
            step /= 2.0
        precision = self._precision
        for slot in slots:
            precision[slot] += information
            moved = step / precision[slot]
            own[slot] += moved
            if other is not None:
                other[slot] -= moved

    def _table_of(self, label: str) -> array[float]:
        return self._weights.setdefault(label, array("f", bytes(4 * SLOTS)))

    def _has_room(self, *labels: str) -> bool:
        return len(self._weights.keys() | set(labels)) <= MOST_LABELS


class _Scale:
    """What a head's log-odds mean here: a slope and a constant, learned as the weights are."""

    def __init__(
        self,
        constant: float = 0.0,
        slope: float = 1.0,
        of_constant: float = _SCALE_PRIOR,
        of_slope: float = _SCALE_PRIOR,
    ) -> None:
        self.constant, self.slope = constant, slope
        self.precision = (of_constant, of_slope)

    def apply(self, odds: float) -> float:
        return self.constant + self.slope * odds

    def learn(self, odds: float, agreed: bool) -> None:
        chance = _logistic(self.apply(odds))
        information, step = chance * (1.0 - chance), agreed - chance
        constant, slope = self.precision
        self.precision = (constant + information, slope + information * odds * odds)
        self.constant += step / self.precision[0]
        self.slope += step * odds / self.precision[1]


def _table(content: bytes) -> array[float]:
    if len(content) != 4 * SLOTS:
        raise ValueError(f"a table of {len(content)} bytes, where {4 * SLOTS} are wanted")
    table = array("f", content)
    if not all(map(math.isfinite, table)):
        raise ValueError("a table with weights that are no numbers")
    return table


def _logistic(value: float) -> float:
    chance = 1.0 / (1.0 + math.exp(-value)) if value > -700.0 else 0.0  # noqa: PLR2004 - exp's range
    return min(max(chance, _CLOSEST), 1.0 - _CLOSEST)
