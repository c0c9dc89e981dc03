"""The budget is held to 5 % whatever the load does, and spent on the least sure."""

import random
from bisect import bisect_right
from itertools import accumulate
from statistics import mean

import pytest

from shared.cascade.policies import Budget, KeepAll
from tests.support.policy_streams import TEXT_BYTES, Outcome, run, world

PERIOD_S = 60.0
OVERHEAD_BYTES = 200.0
BUDGET_BYTES = 0.3 * 20 * PERIOD_S * (TEXT_BYTES + OVERHEAD_BYTES)
PROMPTS = 12_000


def arrivals(kind: str) -> list[float]:
    draw = random.Random(5)
    now_s, times_s = 0.0, []
    for number in range(PROMPTS):
        if kind == "bursty":
            now_s += draw.gammavariate(0.1, 0.5)
        elif kind == "drifting":
            now_s += draw.expovariate(20 * (0.5 + 2 * number / PROMPTS))
        else:
            now_s += draw.expovariate(20)
        times_s.append(now_s)
    return times_s


def spend(kind: str) -> tuple[Outcome, list[float]]:
    """Return the run, and what each period spent as a share of the budget."""
    times_s = arrivals(kind)
    policy = Budget(budget_bytes=BUDGET_BYTES, period_s=PERIOD_S, overhead_bytes=OVERHEAD_BYTES)
    outcome = run(world(PROMPTS, 3, drift=kind == "drifting"), policy, KeepAll(), times_s=times_s)
    periods = int(times_s[-1] // PERIOD_S)
    spent = [0.0] * (periods + 1)
    for at_s, _ in outcome.escalated:
        spent[int(at_s // PERIOD_S)] += TEXT_BYTES + OVERHEAD_BYTES
    return outcome, [share / BUDGET_BYTES for share in spent[:periods]]


def dearest_period(outcome: Outcome, policy: Budget) -> float:
    """Return the most bytes that were spent in any sliding period."""
    sent_s = [at_s for at_s, _ in outcome.escalated]
    cost = TEXT_BYTES + policy.overhead_bytes
    return max(
        (place - bisect_right(sent_s, end_s - policy.period_s) + 1) * cost
        for place, end_s in enumerate(sent_s)
    )


@pytest.mark.parametrize("kind", ["stationary", "bursty", "drifting"])
def test_every_period_spends_the_budget_within_five_percent(kind: str) -> None:
    _, spent = spend(kind)

    assert len(spent) >= 5
    assert min(spent) > 0.95, spent
    assert max(spent) < 1.05, spent


def test_the_least_sure_get_the_money() -> None:
    outcome, _ = spend("stationary")

    sent = [confidence for _, confidence in outcome.escalated]
    assert mean(sent) < mean(outcome.kept) - 0.1


def test_a_budget_larger_than_the_load_escalates_everything() -> None:
    policy = Budget(budget_bytes=BUDGET_BYTES * 100, period_s=PERIOD_S)

    outcome = run(world(2_000, 1), policy, KeepAll(), times_s=arrivals("stationary")[:2_000])

    assert len(outcome.kept) < 0.02 * 2_000


@pytest.mark.parametrize("seed", range(5))
def test_bursts_and_pauses_do_not_keep_the_budget_from_being_spent(seed: int) -> None:
    draw = random.Random(seed)
    times_s = list(accumulate(draw.gammavariate(0.1, 0.5) for _ in range(900)))
    period_s = times_s[-1] / 4 * 0.999
    policy = Budget(budget_bytes=0.3 * 225 * TEXT_BYTES, period_s=period_s, overhead_bytes=0.0)

    outcome = run(world(900, seed), policy, KeepAll(), times_s=times_s)

    whole = sum(at_s < 4 * period_s for at_s, _ in outcome.escalated) * TEXT_BYTES
    assert whole / (4 * policy.budget_bytes) == pytest.approx(1, abs=0.05)
    assert dearest_period(outcome, policy) <= 1.03 * policy.budget_bytes


def test_a_jump_in_load_never_breaks_the_ceiling_of_a_sliding_period() -> None:
    draw = random.Random(8)
    quiet = [n / 5 for n in range(600)]
    times_s = quiet + [quiet[-1] + 0.001 * n + draw.random() * 1e-4 for n in range(6_000)]
    policy = Budget(budget_bytes=BUDGET_BYTES, period_s=PERIOD_S, overhead_bytes=OVERHEAD_BYTES)

    outcome = run(world(6_600, 2), policy, KeepAll(), times_s=times_s)

    assert dearest_period(outcome, policy) <= 1.03 * BUDGET_BYTES


def test_a_pause_of_many_periods_leaves_no_more_than_one_budget_to_be_spent() -> None:
    times_s = [n / 20 for n in range(2_400)]
    times_s += [times_s[-1] + 50 * PERIOD_S + n / 20 for n in range(4_800)]
    policy = Budget(budget_bytes=BUDGET_BYTES, period_s=PERIOD_S, overhead_bytes=OVERHEAD_BYTES)

    outcome = run(world(7_200, 4), policy, KeepAll(), times_s=times_s)

    after_s = [at_s for at_s, _ in outcome.escalated if at_s > 50 * PERIOD_S]
    assert len(after_s) * (TEXT_BYTES + OVERHEAD_BYTES) <= 4 * 1.03 * BUDGET_BYTES
    assert dearest_period(outcome, policy) <= 1.03 * BUDGET_BYTES


def test_the_report_tells_how_much_of_the_budget_is_spent() -> None:
    outcome, _ = spend("stationary")

    assert outcome.device.report("classify")["budget_spent_ratio"] == pytest.approx(1, abs=0.05)
