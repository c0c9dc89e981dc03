"""The study behind docs/placement.md: which episodes it takes, and their scores.

Every policy plays the same worlds. Episodes are independent, so they run in as many processes as
there are processors; what comes out does not depend on how many that is.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from cloud_agent.center.placement.allocators import (
    ActiveInference,
    AllocatorSettings,
    Dqn,
    EpsilonGreedy,
    Greedy,
    GreedyAccuracy,
    Learned,
    LinUcb,
    Oracle,
    RoundRobin,
    ShortestQueue,
    Thompson,
    Uniform,
)
from cloud_agent.center.placement.planner import PlacementSettings
from cloud_agent.center.placement.preferences import Inverse, PreferenceSettings, Weighted
from experiments.placement.episode import run_episode
from experiments.placement.scores import EpisodeScore, score
from experiments.placement.world import WorldSettings, draw_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

OURS: Final = "active-inference"
DISPATCH_ONLY: Final = "active-inference, models fixed"
POLICIES: Final[dict[str, AllocatorSettings]] = {
    "random": Uniform(),
    "round-robin": RoundRobin(),
    "shortest-queue": ShortestQueue(),
    "greedy": Greedy(),
    "greedy-accuracy": GreedyAccuracy(),
    "dqn": Dqn(),
    "epsilon-greedy": EpsilonGreedy(),
    "learned": Learned(),
    "thompson": Thompson(),
    OURS: ActiveInference(),
    "oracle": Oracle(),
}
BASELINES: Final = ("random", "round-robin", "shortest-queue", "greedy", "greedy-accuracy")
"""Those that it has to beat: nobody taught them anything, and they learn nothing."""
RATES: Final = (2.0, 4.0, 6.0)
MIDDLE: Final = 4.0
PREFERENCES: Final[dict[str, PreferenceSettings]] = {"weighted": Weighted(), "inverse": Inverse()}


FEATURED: Final[dict[str, tuple[AllocatorSettings, AllocatorSettings]]] = {
    "linucb": (LinUcb(features=True, bonus=0.3), LinUcb(bonus=0.6)),
    "dqn": (Dqn(features=True), Dqn()),
}
"""Learners that can look at the text of a job, and the same ones blind to it.

LinUCB has in each case a bonus of its own, for more inputs make it explore more by themselves. Both
were chosen by hand on other worlds beforehand; no command prints that.
"""
TELLING: Final = (0.0, 1.0)
"""Worlds in which the text of a job tells nothing, and in which it tells how hard the job is."""


class PlannedEpisode(NamedTuple):
    """One episode to be played."""

    part: str
    policy: str
    allocator: AllocatorSettings
    world: WorldSettings
    preference: PreferenceSettings
    placement: PlacementSettings | None
    seed: int


class PlacementStudy(NamedTuple):
    """The scores, by part of the study and policy, in the order of the seeds."""

    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    scores: dict[tuple[str, str], list[EpisodeScore]]


def part(preference: str, rate: float) -> str:
    """Return the name of a part of the main study."""
    return f"{preference} {rate:g}"


def cases(seeds: Sequence[int], rates: Sequence[float], rounds: int) -> list[PlannedEpisode]:
    """Return every episode of the study."""
    placement = PlacementSettings()
    world = WorldSettings(rounds=rounds)
    found = [
        PlannedEpisode(
            part(name, rate), policy, allocator, _at(world, rate), wanted, placement, seed
        )
        for name, wanted in PREFERENCES.items()
        for rate in rates
        for policy, allocator in POLICIES.items()
        for seed in seeds
    ]
    wrong = WorldSettings(rounds=rounds, prior_error=0.22, prior_weight=20.0)
    found += [
        PlannedEpisode(
            "wrong catalogue", policy, POLICIES[policy], wrong, Weighted(), placement, seed
        )
        for policy in ("greedy", "learned", OURS, "oracle")
        for seed in seeds
    ]
    still = WorldSettings(rounds=rounds, drift=False)
    found += [
        PlannedEpisode("stationary", policy, POLICIES[policy], still, Weighted(), placement, seed)
        for policy in (OURS, "oracle")
        for seed in seeds
    ]
    more = [*seeds, *range(max(seeds) + 1, max(seeds) + 1 + len(seeds))]
    found += [
        PlannedEpisode("placement", name, ActiveInference(), world, Weighted(), plan, seed)
        for name, plan in ((OURS, placement), (DISPATCH_ONLY, None))
        for seed in more
    ]
    return [*found, *_featured(seeds, rounds)]


def featured_part(telling: float) -> str:
    """Return the name of the part in which learners look at texts that tell so much."""
    return f"texts {telling:g}"


def _featured(seeds: Sequence[int], rounds: int) -> list[PlannedEpisode]:
    """Return the episodes of learners with and without the features of texts, and of ours."""
    policies: dict[str, AllocatorSettings] = {OURS: ActiveInference()}
    for name, (seeing, blind) in FEATURED.items():
        policies |= {f"{name}, with features": seeing, f"{name}, without": blind}
    return [
        PlannedEpisode(
            featured_part(telling), name, allocator, WorldSettings(rounds=rounds, telling=telling),
            Weighted(), PlacementSettings(), seed,
        )
        for telling in TELLING
        for name, allocator in policies.items()
        for seed in seeds
    ]  # fmt: skip


def run_study(
    seeds: Sequence[int],
    rates: Sequence[float],
    rounds: int,
    processes: int,
    watch: Callable[[str], None],
) -> PlacementStudy:
    """Play every episode; ``watch`` hears of each as it ends."""
    scores: dict[tuple[str, str], list[EpisodeScore]] = {}
    todo = cases(seeds, rates, rounds)
    for case, scored in zip(todo, _scored(todo, processes), strict=True):
        scores.setdefault((case.part, case.policy), []).append(scored)
        watch(case.part)
    return PlacementStudy(tuple(seeds), tuple(rates), scores)


def play(case: PlannedEpisode) -> EpisodeScore:
    """Play one episode and return what it came to."""
    world = draw_world(case.world, case.seed)
    episode = run_episode(
        world, case.allocator, case.preference, placement=case.placement, seed=case.seed
    )
    return score(world, episode, case.preference)


def _scored(todo: Sequence[PlannedEpisode], processes: int) -> Iterable[EpisodeScore]:
    if processes == 1:
        yield from map(play, todo)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(play, todo, chunksize=4)


def _at(world: WorldSettings, rate: float) -> WorldSettings:
    return msgspec.structs.replace(world, rate=rate)
