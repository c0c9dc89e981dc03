"""Models that hang, panic, lose answers or fail, and what becomes of their prompts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from shared.errors import ModelFailed
from shared.messages import Scored
from shared.serving.batcher import Batcher
from tests.support.batching import FAR_S, ask, held
from tests.support.fakes import BREAKS, FAILS, LookupModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.tasks import Request


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
