"""What came of the nights, measured: every figure of the section, as it is kept and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from experiments.evaluation.matrix import TierAnswers
from experiments.nights.classify.asked import CLOUD
from experiments.nights.classify.figures import AskedEdge, KindFigures, cloud_right, measure
from experiments.nights.classify.study import BETA, Night

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.datasets.sets import LabelledSet
    from experiments.nights.classify.asked import KeptAnswers
    from experiments.nights.classify.domains import Domain
    from experiments.nights.classify.study import ShiftStudy

Rows = Literal["aside", "test"]
NEW: Final = "both new kinds"
"""Reviews of products and of restaurants together."""


class ShiftReport(msgspec.Struct, frozen=True, kw_only=True):
    """Days and nights in each order of arrival, and figures by kind of texts.

    The first figures of a kind are of the edge as it began, the others of each night. ``cloud`` has
    the share of each kind that the cloud has right, of all texts and of those that the edge, as it
    began, is the least sure of.
    """

    nights: list[list[Night]]
    figures: dict[str, list[KindFigures]]
    cloud: dict[str, tuple[float, float]]


def measure_nights(study: ShiftStudy, nights: list[list[Night]], rows: Rows) -> ShiftReport:
    """Ask the edge as it began, and that of each night in each order, for all rows."""
    domains, began = study.domains.all, study.edge.bundle
    served = [[Path(order[n].model) for order in nights] for n in range(len(nights[0]))]
    figures, cloud = {}, {}
    for kind in (*([domain] for domain in domains), domains[1:]):
        name = kind[0].name if len(kind) == 1 else NEW
        without = _asked(study.answering, kind, rows, [began] * len(nights))
        after = [_asked(study.answering, kind, rows, bundles) for bundles in served]
        figures[name] = [measure(each, without, BETA) for each in (without, *after)]
        cloud[name] = cloud_right(without, BETA)
    return ShiftReport(nights=nights, figures=figures, cloud=cloud)


def _asked(
    answering: KeptAnswers, kind: Sequence[Domain], rows: Rows, bundles: Sequence[Path]
) -> AskedEdge:
    sets: list[LabelledSet] = [getattr(domain, rows) for domain in kind]
    truth = np.concatenate([np.array(each.labels, np.int64) for each in sets])

    def ask(bundle: Path) -> TierAnswers:
        answers = [answering.ask(bundle, each) for each in sets]
        return TierAnswers(
            bundle.name,
            np.concatenate([each.probabilities for each in answers]),
            np.concatenate([each.elapsed_us for each in answers]),
        )

    return AskedEdge(truth, ask(CLOUD), [ask(bundle) for bundle in bundles])
