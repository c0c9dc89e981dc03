"""Three days and three nights of an edge whose texts change, in several orders of arrival."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edge_agent.nights.folder import NightOutcome
from edge_agent.nights.settings import NightSettings
from experiments.nights.classify.base import make_edge
from experiments.nights.classify.day import DayCascade
from experiments.nights.classify.domains import LABELS
from experiments.nights.classify.site import NightSite, write_known

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.datasets.sets import LabelledSet
    from experiments.nights.classify.asked import KeptAnswers
    from experiments.nights.classify.base import FilmEdge
    from experiments.nights.classify.domains import Domains

BETA: Final = 0.3
STEPS: Final = 60
ROWS: Final = 16


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """A day and its night: how many texts came how far, and what came of the night.

    ``labels_right`` is the share of the cloud's labels that are true, and ``model`` the bundle that
    serves afterwards.
    """

    domain: str
    texts: int
    to_edge: int
    to_cloud: int
    labels_right: float
    outcome: NightOutcome
    model: str


class ShiftStudy(NamedTuple):
    """The texts, the answers that are kept, and a folder for edges and nights."""

    domains: Domains
    answering: KeptAnswers
    folder: Path

    @property
    def edge(self) -> FilmEdge:
        """The edge that every order of arrival begins with."""
        return make_edge(self.folder / "edge", self.domains.known)

    async def hold(self, seed: int) -> list[Night]:
        """Play the days in an order of arrival that the seed gives, with a night after each."""
        folder = self.folder / f"order-{seed}"
        if (done := folder / "nights.json").exists():
            return msgspec.json.decode(done.read_bytes(), type=list[Night])
        shutil.rmtree(folder, ignore_errors=True)
        old = write_known(self.folder / "known.jsonl", self.domains.known, LABELS)
        settings = night_settings(self.edge.folder, old)
        site = NightSite(self.edge, folder)
        cascade = DayCascade(self.answering, BETA, self.edge.bundle)
        nights: list[Night] = []
        for domain in self.domains.all:
            night = await _night(_in_order(domain.day, seed), cascade, site, settings)
            kept = folder / f"after-{len(nights) + 1}"
            shutil.copytree(site.model, kept)  # an edge lets go of older ones
            nights.append(msgspec.structs.replace(night, model=str(kept)))
        done.write_bytes(msgspec.json.encode(nights))
        return nights


def night_settings(base: Path, old: Path) -> NightSettings:
    """Return the settings of every night."""
    return NightSettings(
        base=str(base),
        old=str(old),
        entries=2_000,
        steps=STEPS,
        rank=16,
        learning_rate=1e-3,
        new_rows=ROWS,
        old_rows=ROWS,
    )


async def _night(
    day: LabelledSet, cascade: DayCascade, site: NightSite, settings: NightSettings
) -> Night:
    """Play a day and hold its night; a model that passed serves from then on."""
    played = cascade.play(day)
    await site.remember(played.answered, time.time())
    before = site.model
    outcome = await site.night(settings)
    if site.model != before:
        cascade.exchange(site.model)
    right = [each.said == each.true for each in played.answered]
    return Night(
        domain=day.name,
        texts=played.texts,
        to_edge=played.to_edge,
        to_cloud=len(right),
        labels_right=sum(right) / len(right),
        outcome=outcome,
        model=str(site.model),
    )


def _in_order(day: LabelledSet, seed: int) -> LabelledSet:
    order = list(range(len(day)))
    random.Random(seed).shuffle(order)  # noqa: S311 - an order, no secret
    return day.take(order)
