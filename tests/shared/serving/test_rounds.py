"""Texts join and leave one by one: who goes first, what bounds them, and every way they can end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import Expired, InvalidPrompt, ModelFailed, Stopping
from shared.runtimes import Generator
from shared.serving.batcher import Batcher
from shared.tasks import Request
from shared.tasks.generate import Completion
from tests.support.fakes import BREAKS, FAILS, LookupModel, SteppingModel
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shared.messages import Scored

FAR_S = float("inf")
Make = "Callable[..., Batcher]"


@pytest.fixture
async def batching() -> AsyncIterator[Callable[..., Batcher]]:
    """Makes running batchers and closes them."""
    made: list[tuple[Batcher, SteppingModel]] = []

    def make(model: SteppingModel, **settings: Any) -> Batcher:
        batcher = Batcher(model, **{"batch_prompts": 4, "queue_prompts": 100} | settings)
        batcher.start()
        made.append((batcher, model))
        return batcher

    yield make
    for batcher, model in made:
        model.release()
        await batcher.close()


def ask(
    batcher: Batcher, text: str, tokens: int = 4, *, deadline_s: float = FAR_S, priority: int = 0
) -> asyncio.Task[Scored]:
    """Have one text written."""
    request = Request("generate", text, {"max_new_tokens": tokens})
    solving = batcher.solve(request, deadline_s=deadline_s, priority=priority)
    return asyncio.ensure_future(solving)


async def held(batcher: Batcher, model: SteppingModel, text: str, tokens: int) -> Any:
    """Let the model begin on one text and hold it there."""
    model.hold()
    asked = ask(batcher, text, tokens)
    await eventually(lambda: model.busy, "the model has begun")
    return asked


def test_the_double_is_a_generator() -> None:
    assert isinstance(SteppingModel(), Generator)
    assert not isinstance(LookupModel(), Generator)


async def test_a_short_text_that_comes_later_ends_first(batching: Callable[..., Batcher]) -> None:
    model = SteppingModel()
    batcher = batching(model)
    long = await held(batcher, model, "long", 400)
    short = ask(batcher, "short", 3)
    model.release()

    assert (await short).answer == Completion("short", tokens_out=3)
    assert not long.done()
    assert (await long).answer == Completion("long", tokens_out=400)
    assert sum("short" in step for step in model.steps) == 3
    assert model.closed == ["short", "long"]


async def test_no_more_texts_are_under_way_than_there_are_slots(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel(at_once=2)
    batcher = batching(model)
    await asyncio.gather(*(ask(batcher, f"{number}", 2 + number) for number in range(9)))

    assert max(map(len, model.steps)) == 2
    assert batcher.waiting == 0


async def test_no_more_tokens_are_in_memory_than_settings_allow_unless_one_needs_more(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel(tokens_at_once=100)
    batcher = batching(model)
    model.hold()
    texts = {"a": 40, "b": 40, "c": 40, "much": 300, "d": 40}
    asked = [ask(batcher, text, tokens) for text, tokens in texts.items()]
    await eventually(lambda: model.busy, "the model has begun")
    model.release()
    await asyncio.gather(*asked)

    for step in model.steps:
        assert step == ["much"] or sum(len(text) + texts[text] for text in step) <= 100
    first = {text: min(n for n, step in enumerate(model.steps) if text in step) for text in texts}
    assert sorted(first, key=first.__getitem__) == list(texts), "none overtakes another"


async def test_the_higher_priority_joins_first(batching: Callable[..., Batcher]) -> None:
    model = SteppingModel(at_once=1)
    batcher = batching(model)
    first = await held(batcher, model, "first", 2)
    later = [
        ask(batcher, text, 1, priority=p) for text, p in (("low", -1), ("plain", 0), ("high", 5))
    ]
    await asyncio.sleep(0)
    model.release()
    await asyncio.gather(first, *later)

    assert model.closed == ["first", "high", "plain", "low"]


async def test_a_text_whose_time_runs_out_is_not_written_on(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel()
    batcher = batching(model)
    model.hold()
    late = ask(batcher, "late", 10**9, deadline_s=time.monotonic() + 0.05)
    with pytest.raises(Expired):
        await late
    model.release()
    await eventually(lambda: model.closed == ["late"])
    assert (await ask(batcher, "next", 2)).answer == Completion("next", tokens_out=2)


async def test_a_text_that_is_called_off_makes_room_at_once(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel(at_once=1)
    batcher = batching(model)
    endless = ask(batcher, "endless", 10**9)
    after = ask(batcher, "after", 2)
    await eventually(lambda: len(model.steps) > 2)
    endless.cancel()

    assert (await after).answer == Completion("after", tokens_out=2)
    assert model.closed == ["endless", "after"]
    assert batcher.waiting == 0


async def test_a_step_that_breaks_fails_what_was_in_it_and_no_more(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel()
    batcher = batching(model)
    broken = ask(batcher, BREAKS)
    with pytest.raises(ModelFailed, match="the model broke"):
        await broken
    assert (await ask(batcher, "next", 2)).answer == Completion("next", tokens_out=2)


async def test_what_the_model_cannot_be_asked_is_refused_and_its_neighbour_written(
    batching: Callable[..., Batcher],
) -> None:
    batcher = batching(SteppingModel())
    good, bad = ask(batcher, "good"), ask(batcher, FAILS)
    with pytest.raises(InvalidPrompt, match="not this one"):
        await bad
    assert (await good).answer == Completion("good", tokens_out=4)


async def test_a_model_that_makes_no_token_in_time_hangs_and_one_that_does_is_slow(
    batching: Callable[..., Batcher],
) -> None:
    slow = batching(SteppingModel("slow"), limit_s=0.3)
    endless = ask(slow, "endless", 10**9)
    await asyncio.sleep(0.8)
    assert not slow.hung.is_set()
    endless.cancel()

    model = SteppingModel("stuck")
    stuck = batching(model, limit_s=0.1)
    asked = await held(stuck, model, "x", 2)
    await asyncio.wait_for(stuck.hung.wait(), 10)
    model.release()
    await asked


async def test_another_model_takes_the_place_once_what_was_begun_is_written(
    batching: Callable[..., Batcher],
) -> None:
    old, new = SteppingModel("old"), SteppingModel("new")
    batcher = batching(old)
    begun = await held(batcher, old, "begun", 50)
    exchanging = asyncio.create_task(asyncio.to_thread(batcher.exchange, new))
    await asyncio.sleep(0.05)
    after = ask(batcher, "after", 2)
    old.release()
    await asyncio.gather(begun, exchanging, after)

    assert old.closed == ["begun"]
    assert new.closed == ["after"]
    assert batcher.model is new


async def test_a_generator_can_take_the_place_of_a_classifier_and_back() -> None:
    batcher = Batcher(LookupModel("m"), batch_prompts=4, queue_prompts=10)
    batcher.start()
    await asyncio.to_thread(batcher.exchange, SteppingModel())
    assert (await ask(batcher, "text", 2)).answer == Completion("text", tokens_out=2)
    await asyncio.to_thread(batcher.exchange, LookupModel("again"))
    scored = await batcher.solve(Request("classify", "x"), deadline_s=FAR_S)
    assert scored.confidence == 1.0
    await batcher.close()
    with pytest.raises(Stopping):
        await asyncio.to_thread(batcher.exchange, SteppingModel())


async def test_closing_answers_what_is_being_written_and_what_waits(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel(at_once=1)
    batcher = batching(model)
    endless, waits = ask(batcher, "endless", 10**9), ask(batcher, "waits", 2)
    await eventually(lambda: len(model.steps) > 2)

    await asyncio.wait_for(batcher.close(), 10)

    for asked in (endless, waits):
        with pytest.raises(Stopping):
            await asked


async def test_the_wait_is_told_by_the_tokens_that_are_asked_for(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel(at_once=1)
    batcher = batching(model)
    await asyncio.gather(*(ask(batcher, "warm", 50) for _ in range(5)))
    first = await held(batcher, model, "first", 2)
    few = [ask(batcher, "few", 1) for _ in range(3)]
    await asyncio.sleep(0)
    short_s = batcher.queue_for("").wait_s
    many = [ask(batcher, "many", 40) for _ in range(3)]
    await asyncio.sleep(0)

    assert batcher.queue_for("").wait_s > 5 * short_s > 0
    assert batcher.wait_s == pytest.approx(batcher.queue_for("").wait_s)
    assert batcher.waiting == 7
    model.release()
    await asyncio.gather(first, *few, *many)
    assert batcher.wait_s == 0.0


async def test_reading_long_prompts_is_work_too_and_does_not_make_tokens_seem_slow(
    batching: Callable[..., Batcher],
) -> None:
    model = SteppingModel(at_once=1, takes_s=0.01)
    batcher = batching(model)
    for _ in range(3):
        await ask(batcher, "long " * 400, 1)
    first = await held(batcher, model, "first", 2)
    asked = [ask(batcher, "few", 1) for _ in range(3)]
    await asyncio.sleep(0)

    assert 0 < batcher.wait_s < 0.01, "by tokens alone each of the four would take a whole step"
    model.release()
    await asyncio.gather(first, *asked)


async def test_the_first_text_tells_how_long_texts_are(batching: Callable[..., Batcher]) -> None:
    model = SteppingModel(at_once=1)
    batcher = batching(model)
    await batcher.solve(Request("generate", "short"), deadline_s=FAR_S)
    before = batcher.service_s
    first = await held(batcher, model, "first", 2)
    asked = asyncio.ensure_future(batcher.solve(Request("generate", "next"), deadline_s=FAR_S))
    await asyncio.sleep(0)

    assert batcher.wait_s < before / 4, "four letters, not as many as texts may have"
    model.release()
    await asyncio.gather(first, asked)
