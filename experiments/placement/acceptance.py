"""What the study has to show, and whether it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from experiments.placement.study import BASELINES, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WON: Final = 10 / 12
_GAP: Final = 0.70
_LATE: Final = 0.01
_KEPT: Final = 0.9
_OVER_DQN: Final = 0.1
_DQN_WORSE: Final = 0.05
_OFF: Final = 0.15
_LOCKED: Final = 0.7
_FOUND: Final = 0.8
_BYTES: Final = 2.0


class Check(NamedTuple):
    """One thing to be shown: what, how far it came, and whether that is enough."""

    what: str
    found: str
    reached: bool


def checks(report: Mapping[str, Any]) -> Iterator[Check]:
    """Yield every check; a part that a study leaves out is not checked."""
    worlds = len(report["seeds"])
    for rate, found in report["rates"].items():
        yield from (_ahead(found["policies"][name], name, rate, worlds) for name in BASELINES)
        gap = found["gap_closed"]
        yield Check(f"gap to the oracle closed at {rate}: ≥ 70 %", f"{gap:.0%}", gap >= _GAP)
    middle = report["rates"].get("4")
    if middle:
        late = middle["misses"]
        yield Check("late answers at 4: ≤ 1 %", f"{late:.2%}", late <= _LATE)
        behind = middle["policies"]["dqn"]["difference"]
        yield Check("the Q-network is worse at 4: by ≥ 0.05", f"{behind:.3f}", behind >= _DQN_WORSE)
    yield from _drifted(report["drift"])
    yield from _trapped(report["trap"])
    back = report["stationary"][OURS]["oscillations"]
    yield Check("models that go and come back where nothing changes: 0", f"{back}", back == 0)
    moved = report["bytes_moved_of_oracle"]
    yield Check("bytes moved: ≤ 2 × the oracle's", f"{moved:.2f} ×", moved <= _BYTES)
    for rate, found in report["paper_utility"].items():
        wins = {name: found["policies"][name]["wins_of_active_inference"] for name in BASELINES}
        least = min(wins, key=wins.__getitem__)
        yield Check(
            f"utility of the paper at {rate}: wins ≥ 10 of 12 against each baseline",
            f"{wins[least]} of {worlds}, against {least}",
            wins[least] >= _WON * worlds,
        )


def _ahead(figures: Mapping[str, Any], name: str, rate: str, worlds: int) -> Check:
    wins, (low, high) = figures["wins_of_active_inference"], figures["interval"]
    return Check(
        f"ahead of {name} at {rate}: wins ≥ 10 of 12, interval above 0",
        f"{wins} of {worlds}, {low:+.3f} … {high:+.3f}",
        wins >= _WON * worlds and low > 0,
    )


def _drifted(drift: Mapping[str, Any]) -> Iterator[Check]:
    kept = drift["policies"][OURS]["kept"]
    yield Check("kept in the 60 rounds after the change: ≥ 0.9", f"{kept:.3f}", kept >= _KEPT)
    over = drift["ahead_of_dqn_after"]["mean"]
    yield Check("ahead of the Q-network then: ≥ 0.1", f"{over:.3f}", over >= _OVER_DQN)
    off = drift["off_after_25_jobs"]
    yield Check(
        "belief about a slowed node after 25 of its jobs: off by ≤ 0.15 on average",
        f"{off['mean']:.3f} (the largest {off['largest']:.3f}, {drift['slowed_nodes']} nodes)",
        off["mean"] <= _OFF,
    )


def _trapped(trap: Mapping[str, Any]) -> Iterator[Check]:
    locked = 1 - trap["0"]["finds_better"]
    found = trap["1"]["finds_better"]
    yield Check(
        "the trap with β = 0: locked on in ≥ 7 of 10 seeds", f"{locked:.0%}", locked >= _LOCKED
    )
    yield Check("the trap with β = 1: escaped in ≥ 8 of 10 seeds", f"{found:.0%}", found >= _FOUND)
