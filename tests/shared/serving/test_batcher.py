"""The queue before a model: it never waits to fill a batch, never grows without bound, and one bad
prompt harms nobody else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from shared.errors import Busy, Expired, ModelFailed, Stopping
from shared.messages import Scored
from shared.serving.batcher import Batcher
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.telemetry.metrics import Metrics
from tests.support.fakes import BREAKS, FAILS, LookupModel
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

FAR_S = float("inf")


@pytest.fixture
async def batching() -> AsyncIterator[Callable[..., Batcher]]:
    """Makes running batchers and closes them."""
    made: list[tuple[Batcher, LookupModel]] = []

    def make(model: LookupModel, batch_prompts: int = 8, queue_prompts: int = 100) -> Batcher:
        batcher = Batcher(model, batch_prompts=batch_prompts, queue_prompts=queue_prompts)
        batcher.start()
        made.append((batcher, model))
        return batcher

    yield make
    for batcher, model in made:
        model.release()
        await batcher.close()


async def ask(
    batcher: Batcher, text: str, deadline_s: float, priority: int = 0, origin: str = ""
) -> Scored:
    """Have one text classified."""
    request = Request("classify", text)
    return await batcher.solve(request, deadline_s=deadline_s, priority=priority, origin=origin)


async def held(batcher: Batcher, model: LookupModel, text: str = "first") -> asyncio.Task[Scored]:
    """Let the model begin on one prompt and hold it there."""
    model.hold()
    asked = asyncio.create_task(ask(batcher, text, FAR_S))
    await eventually(lambda: model.busy, "the model has begun")
    return asked


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


@pytest.mark.parametrize(
    ("text", "said"), [(FAILS, "no answer to this one"), (BREAKS, "RuntimeError: the model broke")]
)
async def test_one_bad_prompt_does_not_fail_its_batch(
    batching: Callable[..., Batcher], text: str, said: str
) -> None:
    """One that the model refuses; one at which it raises, so that the others are asked again."""
    model = LookupModel()
    batcher = batching(model)
    first = await held(batcher, model)
    texts = ["good", text, "also good"]
    asked = [asyncio.create_task(ask(batcher, text, FAR_S)) for text in texts]
    await asyncio.sleep(0)

    model.release()
    good, bad, also_good = await asyncio.gather(*asked, return_exceptions=True)

    await first
    assert isinstance(good, Scored)
    assert isinstance(also_good, Scored)
    assert isinstance(bad, ModelFailed)
    assert said in str(bad)


@pytest.mark.parametrize("raised", [RuntimeError("no"), StopIteration(), MemoryError()])
async def test_after_any_failure_the_next_prompt_is_answered(raised: Exception) -> None:
    class Moody(LookupModel):
        def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
            if requests[0].content == "bad":
                raise raised
            return super().answer(requests)

    batcher = Batcher(Moody(), batch_prompts=4, queue_prompts=4)
    batcher.start()

    with pytest.raises(ModelFailed, match=type(raised).__name__):
        await asyncio.wait_for(ask(batcher, "bad", FAR_S), 5)
    assert await asyncio.wait_for(ask(batcher, "good", FAR_S), 5)
    await batcher.close()


async def test_a_model_that_loses_answers_fails_those_prompts_and_goes_on() -> None:
    class Careless(LookupModel):
        def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
            answers = super().answer(requests)
            return answers[1:] if requests[0].content == "lost" else answers

    batcher = Batcher(Careless(), batch_prompts=4, queue_prompts=4)
    batcher.start()

    with pytest.raises(ModelFailed, match="gave 0 answers to 1 prompts"):
        await asyncio.wait_for(ask(batcher, "lost", FAR_S), 5)
    assert await asyncio.wait_for(ask(batcher, "found", FAR_S), 5)
    await batcher.close()


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


async def test_a_model_that_hangs_is_noticed() -> None:
    model = LookupModel("m")
    batcher = Batcher(model, batch_prompts=1, queue_prompts=9, limit_s=0.05)
    batcher.start()
    await ask(batcher, "quick", time.monotonic() + 5)
    await asyncio.sleep(0.1)
    assert not batcher.hung.is_set()

    model.hold()
    scoring = asyncio.ensure_future(ask(batcher, "slow", time.monotonic() + 5))
    await asyncio.wait_for(batcher.hung.wait(), 2)
    model.release()
    await scoring
    await batcher.close()


class Panic(BaseException):
    """As engines raise that are written in another language."""


class Panicking(LookupModel):
    """Panics at one text, whatever else is in the batch."""

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        if "panic" in [request.content for request in requests]:
            raise Panic("index out of range")
        return super().answer(requests)


async def test_an_engine_that_panics_fails_that_text_alone() -> None:
    batcher = Batcher(Panicking(), batch_prompts=4, queue_prompts=9)
    batcher.start()
    texts = ["a", "panic", "b"]
    asked = [ask(batcher, text, time.monotonic() + 5) for text in texts]
    came = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)

    assert [type(answer) for answer in came] == [Scored, ModelFailed, Scored]
    assert "Panic" in str(came[1])
    assert await ask(batcher, "c", time.monotonic() + 5)
    assert not batcher.hung.is_set()
    await batcher.close()


async def test_when_nobody_feeds_the_model_any_more_that_is_noticed_at_once() -> None:
    batcher = Batcher(LookupModel(), batch_prompts=4, queue_prompts=9)
    batcher.start()
    await ask(batcher, "a", time.monotonic() + 5)
    assert batcher._worker is not None
    batcher._worker.cancel()
    await asyncio.wait_for(batcher.hung.wait(), 2)


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
