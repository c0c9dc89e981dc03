"""A model for which there is no room beside the other takes its place after it: prompts go
elsewhere meanwhile, and where it is not fit the one before comes back."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import BundleError, Busy
from shared.serving.batcher import Batcher
from shared.serving.slot import ModelSlot
from shared.tasks import Request, to_line
from tests.support.fakes import FAILS, LookupModel
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shared.runtimes import Model

FAR_S = float("inf")


class Alone:
    """A slot with one model, and what it was heard to tell."""

    def __init__(self) -> None:
        self.old = LookupModel("old", digest="a")
        self.told: list[Any] = []
        self.batcher = Batcher(self.old, batch_prompts=4, queue_prompts=100)
        self.slot = ModelSlot(
            self.old,
            self.batcher,
            exchanged=lambda new, before: self.told.append((new.name, before.digest)),
            emptied=lambda: self.told.append("emptied"),
        )

    async def ask(self) -> str:
        """Return which model answered."""
        request = Request("classify", "hello")
        return to_line((await self.batcher.solve(request, deadline_s=FAR_S)).answer)

    def loading(self, model: Model) -> Callable[[], Model]:
        """Return what loads a model, and sees to it that the one before has gone."""

        def load() -> Model:
            assert self.old.closed, "there is no room for two"
            return model

        return load


@pytest.fixture
async def alone() -> AsyncIterator[Alone]:
    made = Alone()
    made.batcher.start()
    yield made
    await made.batcher.close()
    made.slot.close()


async def test_the_one_before_goes_first_and_prompts_are_turned_away_until_the_next_is_there(
    alone: Alone,
) -> None:
    new = LookupModel("new", digest="b")
    new.hold()
    exchanging = asyncio.create_task(alone.slot.exchange_alone(alone.loading(new), loads_nothing))
    await eventually(lambda: new.busy, "the probe of the next one")
    assert alone.told == ["emptied"]
    with pytest.raises(Busy, match="no room beside it"):
        await alone.ask()

    new.release()
    await exchanging

    assert await alone.ask() == "new"
    assert alone.told == ["emptied", ("new", "a")]


async def test_what_runs_is_answered_before_its_model_goes(alone: Alone) -> None:
    alone.old.hold()
    first = asyncio.create_task(alone.ask())
    await eventually(lambda: alone.old.busy)
    later = asyncio.create_task(alone.ask())

    new = LookupModel("new")
    exchanging = asyncio.create_task(alone.slot.exchange_alone(alone.loading(new), loads_nothing))
    await asyncio.sleep(0.05)
    assert not alone.old.closed
    alone.old.release()
    await exchanging

    assert await first == "old"
    with pytest.raises(Busy):
        await later


async def test_one_that_is_not_fit_makes_room_for_the_one_before(alone: Alone) -> None:
    unfit, again = LookupModel("unfit"), LookupModel("old", digest="a")
    unfit.labels = ("no", "yes")

    with pytest.raises(BundleError, match="unfit has other labels"):
        await alone.slot.exchange_alone(alone.loading(unfit), alone.loading(again))

    assert unfit.closed
    assert await alone.ask() == "old"
    assert alone.told == ["emptied", ("old", "a")]


async def test_where_neither_is_to_be_had_that_is_said_and_the_next_exchange_may_succeed(
    alone: Alone,
) -> None:
    broken = LookupModel("broken")
    broken.fails = {"a"}
    with pytest.raises(BundleError, match=r"broken fails at a probe .*; and old is gone: nothing"):
        await alone.slot.exchange_alone(alone.loading(broken), loads_nothing)
    with pytest.raises(Busy):
        await alone.ask()
    assert FAILS not in broken.fails

    await alone.slot.exchange(alone.loading(LookupModel("other")))

    assert await alone.ask() == "other"


async def test_whoever_waits_no_longer_does_not_leave_the_agent_without_a_model(
    alone: Alone,
) -> None:
    new = LookupModel("new")
    new.hold()
    exchanging = asyncio.create_task(alone.slot.exchange_alone(alone.loading(new), loads_nothing))
    await eventually(lambda: new.busy, "the probe of the next one")
    exchanging.cancel()
    await asyncio.gather(exchanging, return_exceptions=True)
    another = asyncio.create_task(alone.slot.exchange(alone.loading(LookupModel("another"))))
    new.release()

    await another

    assert alone.told == ["emptied", ("new", "a"), ("another", "")]
    assert await alone.ask() == "another"


async def test_an_exchange_waits_for_one_that_was_given_up_for_it(alone: Alone) -> None:
    late, free = LookupModel("late"), threading.Event()

    def load_late() -> Model:
        free.wait(30)
        return late

    first = asyncio.create_task(alone.slot.exchange(load_late))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(alone.slot.exchange(lambda: LookupModel("new")))
    await asyncio.sleep(0.05)
    assert not second.done()
    free.set()
    await second

    assert late.closed
    assert await alone.ask() == "new"


async def test_at_rest_is_after_a_model_that_could_not_be_given_up_any_more_took_the_place(
    alone: Alone,
) -> None:
    alone.old.hold()
    asked = asyncio.create_task(alone.ask())
    await eventually(lambda: alone.old.busy)
    new = LookupModel("new")
    exchanging = asyncio.create_task(alone.slot.exchange(lambda: new))
    await eventually(lambda: len(new.batches) == 2, "the probe of the next one")
    await asyncio.sleep(0.05)
    exchanging.cancel()
    await asyncio.gather(exchanging, return_exceptions=True)
    resting = asyncio.create_task(alone.slot.at_rest())
    await asyncio.sleep(0.05)
    assert not resting.done()

    alone.old.release()
    await resting

    assert alone.slot.model is new
    assert alone.told == [("new", "a")]
    assert await asked == "old"


def loads_nothing() -> Model:
    raise BundleError("nothing is to be had")
