"""What the study was built to reach: each goal with its measure, and by how much it is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experiments.hotspot.study import HotspotReport, SystemReport


class StudyGoal(NamedTuple):
    """A number of a report, and what it should be at ``most`` or at ``least``."""

    name: str
    side: Literal["most", "least"]
    bound: float
    measure: Callable[[HotspotReport], float]
    form: str = ".2f"

    def off(self, value: float) -> float:
        """Return how far a number misses it; 0 where it is reached."""
        return max(0.0, value - self.bound if self.side == "most" else self.bound - value)


def points(name: str) -> Callable[[HotspotReport], float]:
    """Measure how many points of a hundred a system is right more often than all-cloud."""
    return lambda report: (
        100 * (report.systems[name].accuracy - report.systems["all-cloud"].accuracy)
    )


def part(
    name: str, other: str, of: Callable[[SystemReport], float] = lambda system: system.cloud_calls
) -> Callable[[HotspotReport], float]:
    """Measure a system as a part of another one: its cloud calls, unless told."""
    return lambda report: of(report.systems[name]) / of(report.systems[other])


def last_day(report: HotspotReport) -> float:
    """Return the memory's cloud calls of the last day as a part of the first's."""
    calls = report.systems["memory"].cloud_calls_by_day
    return calls[-1] / calls[0]


def _calibration(report: HotspotReport) -> float:
    error = report.systems["memory"].calibration_error
    if error is None:
        raise KeyError("calibration")
    return error


def _tokens(system: SystemReport) -> float:
    return system.edge_tokens_by_day[-1]


def _overnight(system: SystemReport) -> float:
    return system.entries_overnight


GOALS: Final = (
    StudyGoal("points against all-cloud", "least", -1.0, points("memory"), "+.1f"),
    StudyGoal("calls, of ic-cache-like's", "most", 0.85, part("memory", "ic-cache-like")),
    StudyGoal("calls, of gptcache-0.90's", "most", 0.75, part("memory", "gptcache-0.90")),
    StudyGoal("calls of the last day, of the first's", "most", 0.70, last_day),
    StudyGoal(
        "edge tokens on the last day, of ic-cache-like's",
        "most",
        1.0,
        part("memory", "ic-cache-like", _tokens),
    ),
    StudyGoal(
        "ic-cache-like's calls, of gptcache-0.90's",
        "most",
        1.0,
        part("ic-cache-like", "gptcache-0.90"),
    ),
    StudyGoal(
        "gptcache-0.90's, of routellm-like's", "most", 1.0, part("gptcache-0.90", "routellm-like")
    ),
    StudyGoal("routellm-like's, of all-cloud's", "most", 1.0, part("routellm-like", "all-cloud")),
    StudyGoal(
        "points of gptcache-0.80 against all-cloud", "most", -4.0, points("gptcache-0.80"), "+.1f"
    ),
    StudyGoal("calls without awareness", "least", 1.30, part("memory, no awareness", "memory")),
    StudyGoal("calls without nights", "least", 1.12, part("memory, no night", "memory")),
    StudyGoal(
        "calls without eviction, apart from 1",
        "most",
        0.03,
        lambda report: abs(part("memory, no eviction", "memory")(report) - 1),
    ),
    StudyGoal(
        "entries kept overnight without eviction",
        "least",
        1.4,
        part("memory, no eviction", "memory", _overnight),
    ),
    StudyGoal("calibration error of the router after day 2", "most", 0.05, _calibration, ".3f"),
    StudyGoal(
        "entries, of the room",
        "most",
        1.0,
        lambda report: report.systems["memory"].index_entries / report.settings.capacity,
    ),
    StudyGoal(
        "half absent: wrongly reused",
        "most",
        0.015,
        lambda report: report.half_absent["verifier"].false_reuse,
        ".2%",
    ),
    StudyGoal(
        "half absent: found",
        "least",
        0.80,
        lambda report: report.half_absent["verifier"].recall,
        ".1%",
    ),
    StudyGoal(
        "half absent: wrongly reused at a likeness of 0.80",
        "least",
        0.20,
        lambda report: report.half_absent["threshold 0.80"].false_reuse,
        ".1%",
    ),
)


def goals_table(reports: Sequence[HotspotReport]) -> str:
    """Return a row for each goal: what is wanted, what was measured by seed, what is missed."""
    return "\n".join(_row(goal, reports) for goal in GOALS)


def verdicts(reports: Sequence[HotspotReport]) -> list[str]:
    """Return a line for each goal that says whether it is reached."""
    return [f"{goal.name}: {_verdict(goal, _measured(goal, reports))}" for goal in GOALS]


def _row(goal: StudyGoal, reports: Sequence[HotspotReport]) -> str:
    found = _measured(goal, reports)
    values = ", ".join(f"{value:{goal.form}}" for value in found.values()) or "not measured"
    wanted = f"at {goal.side} {goal.bound:{goal.form}}"
    return f"| {goal.name} | {wanted} | {values} | {_verdict(goal, found)} |"


def _measured(goal: StudyGoal, reports: Sequence[HotspotReport]) -> dict[int, float]:
    """Return the numbers by seed, of the reports that have what is measured."""
    found = {report.settings.seed: _number(goal, report) for report in reports}
    return {seed: value for seed, value in found.items() if value is not None}


def _number(goal: StudyGoal, report: HotspotReport) -> float | None:
    try:
        return goal.measure(report)
    except (KeyError, ZeroDivisionError):
        return None


def _verdict(goal: StudyGoal, found: dict[int, float]) -> str:
    if not found:
        return "not measured"
    missed = {seed: off for seed, value in found.items() if (off := goal.off(value))}
    if not missed:
        return "reached"
    said = ", ".join(f"{seed} by {off:{goal.form.lstrip('+')}}" for seed, off in missed.items())
    return f"**missed on seed {said}**"
