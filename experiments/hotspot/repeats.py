"""The same study over several seeds, and on real questions: tables with intervals."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

from experiments.hotspot.goals import last_day, part, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.hotspot.study import HotspotReport, SystemReport

_T95: Final = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
"""Student's t for 95 %, both sides, by degrees of freedom."""
_NORMAL: Final = 1.96


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return a mean and half of its 95 % interval, by Student's t; none for a single value."""
    if len(values) < 2:  # noqa: PLR2004
        return fmean(values), math.nan
    half = _T95.get(len(values) - 1, _NORMAL) * stdev(values) / math.sqrt(len(values))
    return fmean(values), half


def seeds_table(reports: Sequence[HotspotReport]) -> str:
    """Return a row for each seed, and the mean with its interval."""
    measures = (
        points("memory"),
        part("memory", "ic-cache-like"),
        part("memory", "gptcache-0.90"),
        last_day,
    )
    columns = [[measure(each) for each in reports] for measure in measures]
    rows = [
        f"| {each.settings.seed} | {row[0]:+.1f} | {row[1]:.2f} | {row[2]:.2f} | {row[3]:.2f} "
        f"| {each.systems['memory'].false_reuse:.2%} | {_absent(each)} |"
        for each, row in zip(reports, zip(*columns, strict=True), strict=True)
    ]
    means = " | ".join(
        f"{mean:{form}} ± {half:.2f}"
        for (mean, half), form in zip(
            map(interval, columns), ("+.1f", ".2f", ".2f", ".2f"), strict=True
        )
    )
    return "\n".join([*rows, f"| mean, 95 % | {means} | | |"])


def real_table(report: HotspotReport) -> str:
    """Return the systems on real questions; accuracy against all-cloud by days, with intervals."""
    base = report.systems["all-cloud"]
    return "\n".join(_real_row(name, each, base) for name, each in report.systems.items())


def _real_row(name: str, system: SystemReport, base: SystemReport) -> str:
    days = zip(system.accuracy_by_day, base.accuracy_by_day, strict=True)
    mean, half = interval([100 * (own - cloud) for own, cloud in days])
    calls, spread = interval([float(each) for each in system.cloud_calls_by_day])
    return (
        f"| {name} | {system.accuracy:.1%} | {mean:+.1f} ± {half:.1f} | {calls:.0f} ± {spread:.0f} "
        f"| {system.false_reuse:.2%} |"
    )


def _absent(report: HotspotReport) -> str:
    found = report.half_absent.get("verifier")
    return "" if found is None else f"{found.false_reuse:.2%}, {found.recall:.1%} found"
