"""Prompts go out when they are meant to, whatever else happens, and lateness never adds up."""

from __future__ import annotations

import asyncio
import time

from experiments.replay.pacing import LoopClock, closed_loop, open_loop


class FakeClock:
    """Time that passes when somebody sleeps, with a fault of its own at each sleep."""

    def __init__(self, oversleeps_s: float = 0.0) -> None:
        self.time_s = 0.0
        self.sleeps = 0
        self._oversleeps_s = oversleeps_s

    def now_s(self) -> float:
        return self.time_s

    async def sleep_until(self, at_s: float) -> None:
        self.sleeps += 1
        self.time_s = max(self.time_s, at_s + self._oversleeps_s)
        await asyncio.sleep(0)


async def test_every_prompt_goes_out_at_its_time() -> None:
    clock = FakeClock()
    sent = [(index, at_s, clock.now_s()) async for index, at_s in open_loop([0.5, 1, 4], clock)]

    assert sent == [(0, 0.5, 0.5), (1, 1, 1), (2, 4, 4)]


async def test_lateness_of_each_sleep_does_not_add_up() -> None:
    clock = FakeClock(oversleeps_s=0.003)
    times_s = [0.1 * number for number in range(1, 1001)]

    late_s = [clock.now_s() - at_s async for _, at_s in open_loop(times_s, clock)]

    assert max(late_s) < 0.0031  # and not a thousand times that


async def test_what_is_due_goes_out_at_once_after_a_pause() -> None:
    clock = FakeClock()
    sent_s: list[float] = []

    async for index, _ in open_loop([1, 2, 3, 4, 10], clock):
        if index == 0:
            clock.time_s = 3.5  # something held up the generator
        sent_s.append(clock.now_s())

    assert sent_s == [3.5, 3.5, 3.5, 4, 10]


async def test_the_event_loop_gets_its_turn_while_a_backlog_goes_out() -> None:
    clock = FakeClock()
    clock.time_s = 100.0

    _ = [index async for index, _ in open_loop([0.0] * 160, clock)]

    assert clock.sleeps == 10


async def test_on_a_real_clock_the_rate_is_that_of_the_trace() -> None:
    times_s = [0.01 * number for number in range(100)]
    clock = LoopClock()
    started_s = time.monotonic()

    late_s = [clock.now_s() - at_s async for _, at_s in open_loop(times_s, clock)]

    took_s = time.monotonic() - started_s
    assert min(late_s) > -0.001
    assert 0.98 < took_s < 1.5


async def test_a_clock_may_begin_later() -> None:
    clock = LoopClock(start_s=60.0)

    sent = [clock.now_s() async for _ in open_loop([59.0, 60.05], clock)]

    assert 60.0 <= sent[0] < 60.05 <= sent[1] < 61


async def test_a_closed_loop_sends_when_there_is_room() -> None:
    clock, room = FakeClock(), asyncio.Semaphore(2)
    under_way = most = 0
    answered: list[int] = []

    async def answer(index: int) -> None:
        nonlocal under_way
        await asyncio.sleep(0.001 * (index % 3))
        under_way -= 1
        answered.append(index)
        room.release()

    tasks = []
    async for index, _ in closed_loop(20, room, clock):
        under_way += 1
        most = max(most, under_way)
        tasks.append(asyncio.create_task(answer(index)))
    await asyncio.gather(*tasks)

    assert most == 2
    assert sorted(answered) == list(range(20))
