"""A model that many devices share is used by one of them at a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from experiments.testbed.shared_model import OneAtATime, OneStepAtATime, shared_by_many
from shared.messages import Scored
from shared.runtimes import Generator
from shared.serving.batcher import Batcher
from shared.tasks import Request
from shared.tasks.classify import Label, requests
from tests.support.fakes import LookupModel, SteppingModel

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_a_shared_model_is_used_from_one_thread_at_a_time() -> None:
    class Counting:
        name, labels, tasks = "counting", ("a",), frozenset({"classify"})
        inside = most = 0

        def answer(self, requests: Sequence[Request]) -> list[Scored]:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.005)
            self.inside -= 1
            return [Scored(Label("a"), 1.0, 1) for _ in requests]

        def close(self) -> None:
            pass

    model = Counting()
    shared = OneAtATime(model)  # type: ignore[arg-type]  # a subset of a model

    async def use() -> None:
        await asyncio.gather(*(asyncio.to_thread(shared.answer, requests(["x"])) for _ in range(6)))

    asyncio.run(use())

    assert model.most == 1
    assert shared.name == "counting"


async def test_texts_of_two_devices_are_written_at_the_same_time() -> None:
    """Neither waits for the other's whole text, as it would if answers were shared."""
    model = SteppingModel(takes_s=0.002)
    shared = shared_by_many(model, "genai")
    batchers = [Batcher(shared, batch_prompts=4, queue_prompts=9) for _ in range(2)]
    for batcher in batchers:
        batcher.start()

    asked = Request("generate", "a text", {"max_new_tokens": 30})
    deadline_s = time.monotonic() + 60
    await asyncio.gather(*(batcher.solve(asked, deadline_s=deadline_s) for batcher in batchers))
    for batcher in batchers:
        await batcher.close()

    assert isinstance(shared, OneStepAtATime)
    assert len(model.steps) == 60, "each device's texts go on by themselves"
    assert model.closed == ["a text"] * 2


def test_a_model_whose_texts_go_on_together_is_shared_by_answer() -> None:
    for shared in (shared_by_many(SteppingModel(), "transformers"), OneAtATime(LookupModel())):
        assert not isinstance(shared, Generator)
