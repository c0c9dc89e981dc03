"""The queue before a model: it never waits to fill a batch, never grows without bound, and one bad
prompt harms nobody else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from shared.errors import Busy, Expired, Stopping
from shared.messages import Scored
from shared.serving.batcher import Batcher
from shared.tasks.classify import Label
from shared.telemetry.metrics import Metrics
from tests.support.batching import FAR_S, ask, held
from tests.support.fakes import LookupModel
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_lone_prompt_is_answered_without_waiting_for_others(
    batching: Callable[..., Batcher],
) -> None:
    batcher = batching(LookupModel("m", {"hello": 0.625}), batch_prompts=64)

    started_s = time.perf_counter()
    scored = await ask(batcher, "hello", FAR_S)

    assert scored == Scored(Label("m"), 0.625, 10)
    assert time.perf_counter() - started_s < 0.5


async def test_what_came_meanwhile_is_answered_together_up_to_the_limit_and_in_order(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel()
    batcher = batching(model, batch_prompts=3)
    first = await held(batcher, model)
    later = [asyncio.create_task(ask(batcher, f"{n}", FAR_S)) for n in range(7)]
    await asyncio.sleep(0)

    model.release()
    await asyncio.gather(first, *later)

    assert model.batches == [["first"], ["0", "1", "2"], ["3", "4", "5"], ["6"]]


async def test_the_higher_priority_goes_first_and_equals_in_the_order_they_came(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel()
    batcher = batching(model, batch_prompts=2)
    first = await held(batcher, model)
    asked = {"a": 0, "b": 0, "urgent": 5, "later": -1, "c": 0}
    later = [asyncio.create_task(ask(batcher, text, FAR_S, p)) for text, p in asked.items()]
    await asyncio.sleep(0)

    model.release()
    await asyncio.gather(first, *later)

    assert model.batches == [["first"], ["urgent", "a"], ["b", "c"], ["later"]]


async def test_a_full_queue_says_busy_at_once(batching: Callable[..., Batcher]) -> None:
    model = LookupModel()
    batcher = batching(model, queue_prompts=2)
    first = await held(batcher, model)
    waiting = [asyncio.create_task(ask(batcher, f"{n}", FAR_S)) for n in range(2)]
    await asyncio.sleep(0)

    assert batcher.queue_for("")
    with pytest.raises(Busy, match="2 prompts are waiting already"):
        await ask(batcher, "one too many", FAR_S)

    model.release()
    await asyncio.gather(first, *waiting)
    assert "one too many" not in model.seen


async def test_a_prompt_whose_time_runs_out_in_the_queue_is_told_and_not_run(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel()
    batcher = batching(model)
    first = await held(batcher, model)

    with pytest.raises(Expired, match="time ran out"):
        await ask(batcher, "hurried", time.monotonic() + 0.05)
    gone = asyncio.create_task(ask(batcher, "cancelled", FAR_S))
    await asyncio.sleep(0)
    gone.cancel()

    model.release()
    await first
    await ask(batcher, "last", FAR_S)
    assert model.seen == ["first", "last"]


async def test_a_prompt_whose_time_runs_out_in_the_model_is_told_and_the_model_goes_on(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel()
    batcher = batching(model)
    model.hold()

    with pytest.raises(Expired):
        await ask(batcher, "slow", time.monotonic() + 0.05)

    model.release()
    assert await ask(batcher, "next", FAR_S)


async def test_the_wait_is_what_lies_ahead_times_the_time_of_one(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel(takes_s=0.02)
    batcher = batching(model, batch_prompts=1)
    assert batcher.wait_s == 0.0
    await ask(batcher, "measure", FAR_S)
    assert 0.02 <= batcher.service_s < 0.5

    first = await held(batcher, model)
    more = [asyncio.create_task(ask(batcher, f"{n}", FAR_S)) for n in range(3)]
    await asyncio.sleep(0)

    assert batcher.waiting == 4
    assert batcher.wait_s == pytest.approx(4 * batcher.service_s)
    model.release()
    await asyncio.gather(first, *more)
    assert batcher.waiting == 0


async def test_closing_finishes_the_batch_and_turns_away_what_waits() -> None:
    model = LookupModel()
    batcher = Batcher(model, batch_prompts=1, queue_prompts=10)
    batcher.start()
    first = await held(batcher, model)
    waiting = asyncio.create_task(ask(batcher, "too late", FAR_S))
    await asyncio.sleep(0)

    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    model.release()
    await closing

    assert await first
    with pytest.raises(Stopping):
        await waiting
    with pytest.raises(Stopping):
        await ask(batcher, "after", FAR_S)
    assert model.seen == ["first"]


async def test_batch_sizes_and_waits_are_counted() -> None:
    model, metrics = LookupModel("m", {}), Metrics()
    batcher = Batcher(model, batch_prompts=8, queue_prompts=100, metrics=metrics)
    batcher.start()
    first = await held(batcher, model)
    others = [asyncio.create_task(ask(batcher, text, FAR_S)) for text in ("a", "b", "c")]
    await eventually(lambda: batcher.waiting == 4, "three wait behind the first")
    await asyncio.sleep(0.05)

    model.release()
    await asyncio.gather(first, *others)
    await batcher.close()

    value = metrics.registry.get_sample_value
    assert value("recserve_batch_prompts_count") == 2
    assert value("recserve_batch_prompts_sum") == 4
    assert value("recserve_queue_seconds_count") == 4
    assert (value("recserve_queue_seconds_sum") or 0) >= 3 * 0.05


async def test_who_sends_much_does_not_keep_others_waiting(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel()
    batcher = batching(model, batch_prompts=1)
    first = await held(batcher, model)
    many = [asyncio.create_task(ask(batcher, f"many {n}", FAR_S, 0, "a")) for n in range(50)]
    await asyncio.sleep(0)
    batcher._queue.service_s = 1.0
    assert batcher.queue_for("a").wait_s == 51.0
    assert batcher.queue_for("b").wait_s == 2.0, "what runs, and one of the other"
    few = [asyncio.create_task(ask(batcher, f"few {n}", FAR_S, 0, "b")) for n in range(2)]
    await asyncio.sleep(0)
    model.release()
    await asyncio.gather(first, *many, *few)

    order = model.seen[1:]
    assert order.index("few 0") <= 1
    assert order.index("few 1") <= 3


async def test_in_a_full_queue_whoever_has_most_makes_room(
    batching: Callable[..., Batcher],
) -> None:
    model = LookupModel()
    batcher = batching(model, queue_prompts=4)
    first = await held(batcher, model)
    many = [asyncio.create_task(ask(batcher, f"many {n}", FAR_S, 0, "a")) for n in range(4)]
    await asyncio.sleep(0)
    few = asyncio.create_task(ask(batcher, "few", FAR_S, 0, "b"))
    await asyncio.sleep(0)
    model.release()
    came = await asyncio.gather(first, few, *many, return_exceptions=True)
    assert [type(answer) for answer in came] == [Scored, Scored, Scored, Scored, Scored, Busy]
