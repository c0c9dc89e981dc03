"""Runs the whole study with its progress on a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from experiments.placement.pretraining import pretrain
from experiments.placement.report import make_report
from experiments.placement.study import MIDDLE, cases, run_study
from experiments.placement.world import WorldSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from experiments.placement.study import PlacementStudy

_TAUGHT: Final = 3
"""Fleets on which a network is taught."""


class StudyFindings(NamedTuple):
    """The report, the scores behind it, and the rate of the parts that have only one."""

    report: dict[str, Any]
    study: PlacementStudy
    middle: float


def simulate(
    rates: Sequence[float],
    console: Console,
    *,
    seeds: int,
    rounds: int,
    processes: int | None,
    episodes: int,
) -> StudyFindings:
    """Play every episode and return what was found."""
    middle = MIDDLE if MIDDLE in rates else rates[len(rates) // 2]
    chosen = range(seeds)
    taught = min(_TAUGHT, seeds)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        total = len(cases(chosen, rates, rounds)) + taught * episodes
        task = progress.add_task("episodes", total=total)

        def watch(part: str) -> None:
            progress.update(task, advance=1, description=part)

        study = run_study(chosen, rates, rounds, processes or os.cpu_count() or 1, watch)
        worlds = WorldSettings(rounds=rounds, rate=middle)
        networks = [
            pretrain(worlds, episodes, seed, lambda: watch("teaching a network"))
            for seed in range(taught)
        ]
        progress.update(task, description="the trap")
        return StudyFindings(make_report(study, middle, networks), study, middle)
