"""The pictures of a study of generation: what chrF costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.plots.study import families
from experiments.plots.style import save
from experiments.plots.tradeoff import Point, draw_tradeoff
from shared.telemetry.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.evaluation.text_study import TextResult


def draw_texts(
    results: Sequence[TextResult], rows: Sequence[dict[str, Any]], folder: Path
) -> list[Path]:
    """Draw every set's picture as PNG and SVG; ``rows`` are the figures of all runs.

    Raises ``RuntimeUnavailable`` when matplotlib is not installed.
    """
    paths: list[Path] = []
    for result in results:
        name = result.matrix.data.name
        found = families([row for row in rows if row["set"] == name], _chrf)
        picture = draw_tradeoff(
            [family for family in found if len(family.points) > 1],
            None,
            title=f"{name}: what chrF costs",
            unit="times a prompt is sent (1 = everything straight to the cloud)",
            measure="chrF",
            alone=[
                Point(min(index, 1.0), float(right.mean()), None, f"{tier.tier} only")
                for index, (tier, right) in enumerate(
                    zip(result.matrix.tiers, result.matrix.right, strict=True)
                )
            ],
        )
        paths += save(picture, folder / f"{name}-chrf-burden")
    return paths


def _chrf(row: dict[str, Any]) -> tuple[float, Interval]:
    interval = Interval(row["chrf_low"] / 100, row["chrf_high"] / 100)
    return row["chrf"] / 100, interval
