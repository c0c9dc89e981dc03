"""Cores and workers, held against what queueing theory says of them."""

from __future__ import annotations

import random
import statistics

import pytest

from experiments.simulator.clock import SimulatedClock
from experiments.simulator.cpu import Processor, Step, Worker

SERVICE_S = 0.001
ARRIVALS = 40_000


def steady(seconds: float) -> Step:
    return Step(seconds, seconds)


def poisson_times(rate: float, count: int, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    at_s, times = 0.0, []
    for _ in range(count):
        at_s += draw.expovariate(rate)
        times.append(at_s)
    return times


def test_jobs_on_enough_cores_do_not_slow_each_other() -> None:
    clock, ended = SimulatedClock(), []
    processor = Processor(clock, 2)
    for work_s in (1.0, 2.0):
        processor.run(work_s, lambda: ended.append(clock.now_s))

    clock.run()

    assert ended == [1.0, 2.0]


def test_jobs_on_too_few_cores_share_them_evenly() -> None:
    clock, ended = SimulatedClock(), []
    processor = Processor(clock, 1)
    processor.run(1.0, lambda: ended.append(("short", clock.now_s)))
    processor.run(2.0, lambda: ended.append(("long", clock.now_s)))

    clock.run()

    # Both at half speed until 2 s; then the long one alone for the second that is left of it.
    assert dict(ended) == pytest.approx({"short": 2.0, "long": 3.0})
    assert processor.worked_s == pytest.approx(3.0)


def test_a_machine_of_half_the_speed_takes_twice_as_long() -> None:
    clock, ended = SimulatedClock(), []
    Processor(clock, 1, speed=0.5).run(1.0, lambda: ended.append(clock.now_s))

    clock.run()

    assert ended == [2.0]


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_a_shared_core_keeps_jobs_as_long_as_processor_sharing_does(load: float) -> None:
    """M/D/1 under processor sharing: the mean stay is the service over what is left of the core."""
    clock, stays_s = SimulatedClock(), []
    processor = Processor(clock, 1)

    def begin(at_s: float) -> None:
        processor.run(SERVICE_S, lambda: stays_s.append(clock.now_s - at_s))

    for at_s in poisson_times(load / SERVICE_S, ARRIVALS):
        clock.at(at_s, begin, at_s)
    clock.run()

    assert len(stays_s) == ARRIVALS
    assert statistics.fmean(stays_s) == pytest.approx(SERVICE_S / (1 - load), rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_a_worker_lets_work_wait_as_long_as_a_queue_does(load: float) -> None:
    """M/D/1 in order of arrival: the mean wait is load · service / 2 (1 - load)."""
    clock, waits_s = SimulatedClock(), []
    worker = Worker(clock, Processor(clock, 1))

    def begin(at_s: float) -> None:
        worker.do(steady(SERVICE_S), lambda: waits_s.append(clock.now_s - at_s - SERVICE_S))

    for at_s in poisson_times(load / SERVICE_S, ARRIVALS):
        clock.at(at_s, begin, at_s)
    clock.run()

    expected_s = load * SERVICE_S / (2 * (1 - load))
    assert statistics.fmean(waits_s) == pytest.approx(expected_s, rel=0.05)


def test_a_worker_is_cold_at_first_and_warm_after_a_while() -> None:
    clock, ended = SimulatedClock(), []
    worker = Worker(clock, Processor(clock, 1))
    for _ in range(60):
        worker.do(Step(0.002, 0.001), lambda: ended.append(clock.now_s))

    clock.run()

    took_s = [later - earlier for earlier, later in zip([0.0, *ended], ended, strict=False)]
    assert took_s[0] == pytest.approx(0.002)
    assert took_s[-1] == pytest.approx(0.001, rel=0.01)
    assert took_s == sorted(took_s, reverse=True)


def test_a_pause_makes_a_worker_cold_again() -> None:
    clock, ended = SimulatedClock(), []
    worker = Worker(clock, Processor(clock, 1))
    step = Step(0.002, 0.001)
    for _ in range(60):
        worker.do(step, lambda: None)
    clock.at(10.0, worker.do, step, lambda: ended.append(clock.now_s))

    clock.run()

    assert ended == [pytest.approx(10.002)]


def test_an_effect_is_out_before_the_tidying_up_is_done() -> None:
    clock, out = SimulatedClock(), []
    worker = Worker(clock, Processor(clock, 1))
    for name in ("first", "second"):
        worker.do(
            Step(0.010, 0.010, on_path=0.3), lambda name=name: out.append((name, clock.now_s))
        )

    clock.run()

    assert dict(out) == pytest.approx({"first": 0.003, "second": 0.013})


def test_a_thread_gets_in_when_the_loop_is_idle_or_after_the_switch_interval() -> None:
    clock, begun = SimulatedClock(), []
    worker = Worker(clock, Processor(clock, 4))
    for _ in range(20):
        worker.do(steady(0.001), lambda: None)
    worker.let_in(steady(0.0), lambda: begun.append(clock.now_s))

    clock.run()

    assert begun == [pytest.approx(0.002)], "not at once, and not after all twenty"

    idle = Worker(clock, Processor(clock, 4))
    begin_s = clock.now_s
    idle.let_in(steady(0.001), lambda: begun.append(clock.now_s - begin_s))
    clock.run()
    assert begun[1] == pytest.approx(0.001)


def test_a_worker_of_two_threads_takes_two_cores_and_no_less_time() -> None:
    clock, ended = SimulatedClock(), []
    processor = Processor(clock, 3)
    both = Worker(clock, processor, 2)
    both.do(steady(1.0), lambda: ended.append(clock.now_s))

    clock.run()

    assert ended == [1.0]
    assert processor.worked_s == pytest.approx(2.0)
    assert both.busy_s == pytest.approx(1.0)


def test_two_threads_on_one_core_take_twice_as_long() -> None:
    clock, ended = SimulatedClock(), []
    Worker(clock, Processor(clock, 1), 2).do(steady(1.0), lambda: ended.append(clock.now_s))

    clock.run()

    assert ended == [2.0]


def test_late_in_a_long_run_short_jobs_still_end() -> None:
    """A step of time is 15 ps there: more than what some jobs have left."""
    clock, ended = SimulatedClock(), 0
    processor = Processor(clock, 2)

    def end() -> None:
        nonlocal ended
        ended += 1

    draw = random.Random(3)
    for number in range(2000):
        clock.at(1e5 + number * 1e-4, processor.run, draw.expovariate(1e4), end)
    clock.run()

    assert ended == 2000
    assert clock.now_s < 1e5 + 1
