"""The pictures of a study: accuracy against burden, report cards, thresholds and shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from experiments.evaluation.oracle import oracle
from experiments.evaluation.study import spell
from experiments.plots.card import cards, draw_cards
from experiments.plots.course import draw_shares, draw_thresholds
from experiments.plots.style import save
from experiments.plots.tradeoff import Family, Point, draw_tradeoff
from shared.telemetry.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from experiments.evaluation.evaluate import PolicyRun, SetResult

_SHOWN_IN_TIME: Final = "RecServe"


def draw_study(
    results: Sequence[SetResult], rows: Sequence[dict[str, Any]], folder: Path
) -> list[Path]:
    """Draw every set's pictures as PNG and SVG; ``rows`` are the figures of all runs.

    Raises ``RuntimeUnavailable`` when matplotlib is not installed.
    """
    paths: list[Path] = []
    for result in results:
        name = result.matrix.data.name
        mine = [row for row in rows if row["set"] == name]
        burden = draw_tradeoff(
            [family for family in families(mine, _accuracy) if len(family.points) > 1],
            oracle(result.matrix.right, _sends(result)),
            title=f"{name}: what accuracy costs",
            unit="times a prompt is sent (1 = everything straight to the cloud)",
            alone=_alone(result),
        )
        paths += save(burden, folder / f"{name}-accuracy-burden")
        paths += save(
            draw_cards(
                cards(result.matrix, result.before),
                title=f"{name}: how far each confidence can be trusted",
            ),
            folder / f"{name}-report-card",
        )
        shown = _shown_in_time(result.runs)
        if shown is not None:
            setting = _setting(shown.candidate.parameters)
            title = f"{name}, {shown.candidate.name} {setting}: "
            thresholds = draw_thresholds(shown.replay, title=f"{title}the thresholds")
            paths += save(thresholds, folder / f"{name}-thresholds")
            shares = draw_shares(shown.replay, title=f"{title}who answers")
            paths += save(shares, folder / f"{name}-shares")
    return paths


def families(
    rows: Sequence[dict[str, Any]], worth: Callable[[dict[str, Any]], tuple[float, Interval]]
) -> list[Family]:
    """Gather a policy's points; runs that differ in their order only are averaged.

    ``worth`` returns what a row's answers are worth, and the interval of that.
    """
    points: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        setting = _setting(_parameters(row))
        points.setdefault(row["policy"], {}).setdefault(setting, []).append(row)
    return [
        Family(policy, tuple(_point(setting, same, worth) for setting, same in by_setting.items()))
        for policy, by_setting in points.items()
    ]


def _accuracy(row: dict[str, Any]) -> tuple[float, Interval]:
    return row["accuracy"], Interval(row["accuracy_low"], row["accuracy_high"])


def _point(
    setting: str,
    rows: Sequence[dict[str, Any]],
    worth: Callable[[dict[str, Any]], tuple[float, Interval]],
) -> Point:
    figures = [(row["hops"], value, *interval) for row in rows for value, interval in [worth(row)]]
    burden, value, low, high = (float(mean) for mean in np.mean(figures, axis=0))
    return Point(burden, value, Interval(low, high), setting)


def _parameters(row: dict[str, Any]) -> dict[str, Any]:
    keys = list(row)
    return {key: row[key] for key in keys[keys.index("policy") + 1 : keys.index("seed")]}


def _setting(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{key} {spell(value)}" for key, value in parameters.items())


def _sends(result: SetResult) -> np.typing.NDArray[np.float64]:
    """Return what it costs in hops to have each prompt answered by each tier: one, or none."""
    prompts = len(result.matrix.data)
    return np.stack([np.full(prompts, min(tier, 1.0)) for tier in range(len(result.matrix.tiers))])


def _alone(result: SetResult) -> list[Point]:
    return [
        Point(min(index, 1.0), float(right.mean()), None, f"{tier.tier} only")
        for index, (tier, right) in enumerate(
            zip(result.matrix.tiers, result.matrix.right, strict=True)
        )
    ]


def _shown_in_time(runs: Sequence[PolicyRun]) -> PolicyRun | None:
    """Return the run whose thresholds are drawn: RecServe's in the middle of its grid."""
    found = [run for run in runs if run.candidate.name == _SHOWN_IN_TIME and run.seed == 0]
    return found[len(found) // 3] if found else None
