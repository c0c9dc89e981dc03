"""Texts in simulated time join and leave as real ones do, and take what was measured."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial

import msgspec
import pytest

from experiments.simulator.clock import SimulatedClock
from experiments.simulator.cpu import Processor, Worker
from experiments.simulator.service_times import TextStep, WritingServiceTimes
from experiments.simulator.waiting import Work
from shared.errors import Expired, PromptError
from shared.serving.batcher import Batcher
from shared.tasks import Request
from tests.support.fakes import SteppingModel
from tests.support.simulated import simulated_batcher, writing_times

NEVER_S = 1e9


class Writers:
    """A batcher whose model takes a millisecond for each step, however many texts there are."""

    def __init__(self, *, at_once: int = 2, tokens_at_once: int = 1_000) -> None:
        self.clock = SimulatedClock()
        self.batcher = simulated_batcher(
            self.clock,
            Worker(self.clock, Processor(self.clock, 2)),
            writing_times(0.0, step_us=1000.0, prefill_token_us=0.0),
            batch_prompts=at_once,
            tokens_at_once=tokens_at_once,
        )
        self.ended: dict[str, int] = {}
        """At which step each text ended."""
        self.errors: dict[str, PromptError] = {}

    def ask(self, name: str, tokens: int, *, deadline_s: float = NEVER_S) -> None:
        work = Work(len(name), tokens_in=len(name), tokens_out=tokens, new_tokens=tokens)
        self.batcher.score(work, deadline_s, 0, "", partial(self._scored, name))

    def _scored(self, name: str, error: PromptError | None) -> None:
        if error is None:
            self.ended[name] = round(self.clock.now_s * 1000)
        else:
            self.errors[name] = error


async def test_texts_end_at_the_steps_at_which_real_ones_do() -> None:
    """Of six texts two are under way at once; the tokens of the third and fourth do not fit."""
    lengths = {"a": 3, "b": 7, "c": 20, "d": 18, "e": 2, "f": 4}
    writers = Writers(at_once=2, tokens_at_once=30)
    for name, tokens in lengths.items():
        writers.ask(name, tokens)
    writers.clock.run()

    model = SteppingModel(at_once=2, tokens_at_once=30)
    real = Batcher(model, batch_prompts=2, queue_prompts=10)
    deadline_s = time.monotonic() + 60
    model.hold()
    real.start()
    solving = [
        asyncio.ensure_future(
            real.solve(Request("generate", name, {"max_new_tokens": n}), deadline_s=deadline_s)
        )
        for name, n in lengths.items()
    ]
    await asyncio.sleep(0)
    model.release()
    await asyncio.gather(*solving)
    await real.close()

    last = {name: step for step, texts in enumerate(model.steps, 1) for name in texts}
    assert writers.ended == last


def test_a_prompt_is_read_with_the_first_token_and_each_token_takes_its_time() -> None:
    clock = SimulatedClock()
    times = writing_times(1000.0, prefill_token_us=100.0)
    batcher = simulated_batcher(clock, Worker(clock, Processor(clock, 2)), times)
    ended_s: list[float] = []

    work = Work(40, tokens_in=10, tokens_out=5)
    batcher.score(work, NEVER_S, 0, "", lambda _: ended_s.append(clock.now_s))
    clock.run()

    assert ended_s == [pytest.approx(10 * 100e-6 + 5 * 1000e-6)]
    assert (batcher.tally.tokens_read, batcher.tally.tokens_written) == (10, 5)
    assert (batcher.tally.runs, batcher.tally.batched, batcher.tally.queued) == (1, 1, 1)


def test_who_comes_joins_at_the_next_step() -> None:
    writers = Writers(at_once=4)
    writers.ask("long", 100)
    writers.clock.at(0.0105, writers.ask, "short", 3)
    writers.clock.run()

    assert writers.ended == {"short": 14, "long": 100}


def test_a_text_whose_time_runs_out_is_left_and_makes_room() -> None:
    writers = Writers(at_once=1)
    writers.ask("endless", 1000, deadline_s=0.0055)
    writers.ask("next", 2)
    writers.clock.run()

    assert isinstance(writers.errors["endless"], Expired)
    assert writers.ended["next"] < 300, "a round of steps later at the latest"
    assert writers.batcher.tally.waiting == 0
    assert writers.batcher.queue.running == 0


def test_the_lock_is_held_for_its_share_and_a_cold_step_takes_longer() -> None:
    times = msgspec.structs.replace(writing_times(1000.0), held_share=0.25, cold_us=300.0)
    service = WritingServiceTimes(times, random.Random(0))
    text = TextStep(tokens_in=0, slowness=2.0)

    held, free = service.steps([text], cold=True)

    assert (held.warm_s, free.warm_s) == pytest.approx((500e-6, 1500e-6))
    assert free.cold_s == pytest.approx(1800e-6)
    assert service.steps([text], cold=False)[1].cold_s == pytest.approx(1500e-6)
