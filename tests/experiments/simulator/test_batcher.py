"""The batcher in simulated time does as the real one does."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import groupby

import pytest

from experiments.simulator.clock import SimulatedClock
from experiments.simulator.cpu import Processor, Worker
from experiments.simulator.waiting import Work
from shared.errors import Busy, Expired, PromptError
from shared.serving.batcher import Batcher as RealBatcher
from shared.tasks import Request
from tests.support.fakes import LookupModel
from tests.support.simulated import model_times, simulated_batcher

NEVER_S = 1e9


class Bench:
    """A batcher whose runs take 10 ms and 1 ms for each prompt."""

    def __init__(self, *, batch_prompts: int = 4, queue_prompts: int = 10) -> None:
        self.clock = SimulatedClock()
        loop = Worker(self.clock, Processor(self.clock, 2))
        times = model_times(1000.0, run_us=10_000.0)
        self.batcher = simulated_batcher(
            self.clock, loop, times, batch_prompts=batch_prompts, queue_prompts=queue_prompts
        )
        self.answered_s: list[float] = []
        self.errors: list[PromptError] = []

    def ask(self, prompts: int, deadline_s: float = NEVER_S) -> None:
        for _ in range(prompts):
            self.batcher.score(Work(10), deadline_s, 0, "", self._scored)

    def _scored(self, error: PromptError | None) -> None:
        if error is None:
            self.answered_s.append(round(self.clock.now_s, 6))
        else:
            self.errors.append(error)


def test_what_waits_is_answered_together_up_to_the_limit() -> None:
    bench = Bench(batch_prompts=4)

    bench.ask(6)
    bench.clock.run()

    assert bench.answered_s == [0.014] * 4 + [0.026] * 2
    assert bench.batcher.tally.runs == 2
    assert bench.batcher.tally.batched == 6


async def test_the_real_batcher_forms_the_same_batches() -> None:
    bench = Bench(batch_prompts=4)
    bench.ask(6)
    bench.clock.run()
    model = LookupModel()
    real = RealBatcher(model, batch_prompts=4, queue_prompts=10)
    real.start()

    deadline_s = time.monotonic() + 60
    await asyncio.gather(
        *(real.solve(Request("classify", "so so"), deadline_s=deadline_s) for _ in range(6))
    )
    await real.close()

    sizes = [len(list(group)) for _, group in groupby(bench.answered_s)]
    assert sizes == [len(batch) for batch in model.batches]


def test_the_higher_priority_goes_first_and_equals_in_the_order_they_came() -> None:
    bench = Bench(batch_prompts=1)
    order: list[str] = []
    for name, priority in (("a", 0), ("b", 0), ("urgent", 5), ("later", -1), ("c", 0)):
        bench.batcher.score(Work(10), NEVER_S, priority, "", partial(_note, order, name))
    bench.clock.run()

    assert order == ["urgent", "a", "b", "c", "later"]


def test_a_full_queue_turns_prompts_away() -> None:
    bench = Bench(queue_prompts=2)

    bench.ask(5)

    assert [type(error) for error in bench.errors] == [Busy] * 3
    assert bench.batcher.queue.queue_for("").full


def test_a_prompt_whose_time_runs_out_gets_no_answer() -> None:
    bench = Bench(batch_prompts=1)

    bench.ask(3, deadline_s=0.015)
    bench.clock.run()

    assert bench.answered_s == [0.011]
    assert [type(error) for error in bench.errors] == [Expired, Expired]
    assert bench.batcher.tally.waiting == 0


def test_the_wait_it_tells_is_what_is_there_times_what_one_takes() -> None:
    bench = Bench(batch_prompts=1)
    bench.ask(1)
    bench.clock.run()

    bench.ask(3)

    assert bench.batcher.queue.wait_s == pytest.approx(3 * 0.011)


def _note(order: list[str], name: str, error: PromptError | None) -> None:
    assert error is None
    order.append(name)
