"""A day of the cascade: what the device sends up to the edge, and the edge to the cloud.

The decision is the product's (``shared.cascade.tier``), prompt by prompt in the order of arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from experiments.nights.classify.asked import CLOUD, DEVICE
from shared.cascade.policies import Observation, Quantile
from shared.cascade.tier import Tier
from shared.runtimes.bundle import Bundle

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.datasets.sets import LabelledSet
    from experiments.evaluation.matrix import TierAnswers
    from experiments.nights.classify.asked import KeptAnswers
    from shared.tasks import Task


class FromCloud(NamedTuple):
    """A text that the cloud answered, what it said, and what is true."""

    text: str
    said: str
    true: str


class DayPlayed(NamedTuple):
    """How many texts came to the device and to the edge, and those that the cloud answered."""

    texts: int
    to_edge: int
    answered: list[FromCloud]


class DayCascade:
    """A device and an edge under one cloud, with the windows that their thresholds come from."""

    def __init__(self, answering: KeptAnswers, beta: float, edge: Path) -> None:
        self._answering = answering
        policy = Quantile(beta=beta)
        self._device = Tier("device", policy, ("edge", "cloud"), expected=_expected(DEVICE))
        self._edge = Tier("edge", policy, ("cloud",), expected=_expected(edge))
        self._model = edge

    def exchange(self, edge: Path) -> None:
        """Have another model answer at the edge, as an agent does after a night."""
        self._model = edge
        self._edge.begin_anew(_expected(edge))

    def play(self, day: LabelledSet) -> DayPlayed:
        """Let the texts of a day come, one after the other."""
        to_edge = self._sent_up(self._device, DEVICE, day)
        to_cloud = self._sent_up(self._edge, self._model, to_edge)
        said = self._answering.ask(CLOUD, to_cloud).labels
        names = day.label_names
        answered = [
            FromCloud(text, names[label], names[true])
            for text, label, true in zip(to_cloud.texts, said, to_cloud.labels, strict=True)
        ]
        return DayPlayed(len(day), len(to_edge), answered)

    def _sent_up(self, tier: Tier, bundle: Path, texts: LabelledSet) -> LabelledSet:
        answers = self._answering.ask(bundle, texts)
        return texts.take([row for row in range(len(texts)) if _goes_up(tier, answers, texts, row)])


def _goes_up(tier: Tier, answers: TierAnswers, texts: LabelledSet, row: int) -> bool:
    text = texts.texts[row]
    seen = Observation(float(answers.routing[row]), float(row), len(text.encode()), text)
    return bool(tier.route("classify", seen).up)


def _expected(bundle: Path) -> dict[Task, tuple[float, ...]]:
    return dict(Bundle.open(str(bundle)).expected_of(None))
