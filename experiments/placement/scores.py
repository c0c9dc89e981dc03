"""What an episode comes to, in numbers that fit into a message."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloud_agent.center.placement.preferences import Preference
    from experiments.placement.episode import Episode
    from experiments.placement.world import FleetWorld

    Floats = NDArray[np.float64]

_AROUND_ROUNDS: Final = 60
_BACK_AND_FORTH: Final = 4
_LEARNED_AFTER: Final = 25


class EpisodeScore(NamedTuple):
    """One episode: means over its jobs, and what happened around the change of the world.

    ``course`` is the mean worth of the jobs of each round, NaN where none came. ``before`` and
    ``after`` are the mean worth in the 60 rounds on either side of the change. ``off`` is by how
    much the log slowdown that was believed of each slowed node missed the truth after 25 of its
    jobs; fewer than that teach nobody.
    """

    utility: float
    misses: float
    accuracy: float
    latency_s: float
    bytes_moved: float
    changes: int
    oscillations: int
    before: float
    after: float
    off: tuple[float, ...]
    course: Floats


def score(world: FleetWorld, episode: Episode, preference: Preference) -> EpisodeScore:
    """Return what an episode came to."""
    ended = episode.ended
    worth = np.array([each.worth for each in ended])
    rounds = np.array([each.round for each in ended])
    course = _course(rounds, worth, len(world.arrivals))
    change = world.changes_at
    return EpisodeScore(
        utility=float(worth.mean()),
        misses=float(np.mean([each.latency_s > preference.limit_s for each in ended])),
        accuracy=float(np.mean([each.right for each in ended])),
        latency_s=float(np.mean([each.latency_s for each in ended])),
        bytes_moved=episode.bytes_moved,
        changes=sum(len(differing(one, two)) for one, two in _pairs(episode.plans)),
        oscillations=back_and_forth(episode.plans),
        before=_mean_between(rounds, worth, change - _AROUND_ROUNDS, change),
        after=_mean_between(rounds, worth, change, change + _AROUND_ROUNDS),
        off=_off(world, episode),
        course=course,
    )


def back_and_forth(plans: Sequence[dict[str, str]]) -> int:
    """Count how often a node went from one model to another and back within four placements."""
    count = 0
    for number in range(1, len(plans)):
        for node in differing(plans[number - 1], plans[number]):
            earlier = plans[max(0, number - _BACK_AND_FORTH) : number - 1]
            count += any(plan.get(node) == plans[number][node] for plan in earlier)
    return count


def differing(one: dict[str, str], two: dict[str, str]) -> list[str]:
    """Return the nodes that two plans give different models."""
    return [node for node in two if node in one and one[node] != two[node]]


def _pairs(plans: Sequence[dict[str, str]]) -> list[tuple[dict[str, str], dict[str, str]]]:
    return list(pairwise(plans))


def _course(rounds: NDArray[np.int64], worth: Floats, count: int) -> Floats:
    total = np.bincount(rounds, weights=worth, minlength=count)
    jobs = np.bincount(rounds, minlength=count)
    course: Floats = np.divide(total, jobs, out=np.full(count, np.nan), where=jobs > 0)
    return course


def _mean_between(rounds: NDArray[np.int64], worth: Floats, low: int, high: int) -> float:
    inside = worth[(rounds >= low) & (rounds < high)]
    return float(inside.mean()) if len(inside) else float("nan")


def _off(world: FleetWorld, episode: Episode) -> tuple[float, ...]:
    """Return how far off the belief about each slowed node is after 25 jobs that it was given."""
    off = []
    for index, node in enumerate(world.nodes):
        before, now = world.slowdowns[:, index]
        if before == now:
            continue
        taught = [
            each.heard
            for each in episode.ended
            if each.node == node and each.round >= world.changes_at
        ]
        if len(taught) >= _LEARNED_AFTER and taught[_LEARNED_AFTER - 1] < len(episode.slowdowns):
            believed = episode.slowdowns[taught[_LEARNED_AFTER - 1]][index]
            off.append(abs(believed - float(np.log(now))))
    return tuple(off)
