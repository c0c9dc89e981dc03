"""Models that are not fit for a slot, or do not come in time."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable, Stopping
from shared.messages import Scored
from shared.serving.slot import PROBES
from shared.tasks.classify import Label
from tests.support.fakes import LookupModel
from tests.support.slots import Opened, ask, loading
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.runtimes import Model
    from shared.tasks import Request


class Odd(LookupModel):
    """Answers a probe as told."""

    def __init__(self, entry: Scored | ModelFailed | None) -> None:
        super().__init__("odd")
        self.entry = entry

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        return [] if self.entry is None else [self.entry for _ in requests]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (ModelFailed("its weights are gone"), "odd fails at a probe prompt: its weights are gone"),
        (Scored(Label("odd"), float("nan"), 1), "with a confidence of nan"),
        (Scored(Label("odd"), 1.5, 1), "with a confidence of 1.5"),
        (Scored(Label("odd"), -0.1, 1), "with a confidence of -0.1"),
        (None, "odd gave 0 answers to 1 probe prompts"),
    ],
)
async def test_a_model_that_fails_its_probe_is_closed_and_the_one_before_answers_on(
    slots: Callable[..., Opened], entry: Scored | ModelFailed | None, said: str
) -> None:
    old, odd = LookupModel("old"), Odd(entry)
    slot, batcher = slots(old)

    with pytest.raises(BundleError, match=said):
        await slot.exchange(loading(odd))

    assert (odd.closed, old.closed, slot.model) == (True, False, old)
    assert await ask(batcher) == "old"


async def test_a_model_with_other_labels_or_fewer_tasks_is_not_taken(
    slots: Callable[..., Opened],
) -> None:
    slot, _ = slots(LookupModel("old"))
    other, idle = LookupModel("other"), LookupModel("idle", tasks=frozenset())
    other.labels = ("sad", "glad")

    with pytest.raises(BundleError, match=r"other has other labels \(sad, glad\) .* start the age"):
        await slot.exchange(loading(other))
    with pytest.raises(BundleError, match="idle does not answer classify"):
        await slot.exchange(loading(idle))


class Panic(BaseException):
    """As engines raise that are written in another language."""


@pytest.mark.parametrize("raised", [MemoryError("no room"), Panic("index out of range")])
async def test_whatever_loading_raises_the_one_before_answers_on(
    slots: Callable[..., Opened], raised: BaseException
) -> None:
    slot, batcher = slots(LookupModel("old"))

    def load() -> Model:
        raise raised

    with pytest.raises(BundleError, match=f"cannot be loaded: {type(raised).__name__}: {raised}"):
        await slot.exchange(load)
    assert await ask(batcher) == "old"
    await slot.exchange(loading(LookupModel("new")))
    assert await ask(batcher) == "new"


async def test_errors_of_ours_say_themselves_what_is_wrong(slots: Callable[..., Opened]) -> None:
    slot, _ = slots(LookupModel("old"))

    def load() -> Model:
        raise RuntimeUnavailable("install the engine")

    with pytest.raises(RuntimeUnavailable, match="install the engine"):
        await slot.exchange(load)


async def test_a_load_that_hangs_is_given_up_and_its_model_closed_when_it_comes(
    slots: Callable[..., Opened],
) -> None:
    free, late = threading.Event(), LookupModel("late")
    slot, batcher = slots(LookupModel("old"), limit_s=0.1)

    def hang() -> Model:
        assert free.wait(30)
        return late

    with pytest.raises(BundleError, match=r"not loaded and probed within 0\.1 s"):
        await slot.exchange(hang)
    with pytest.raises(BundleError, match="an earlier model, which took too long"):
        await slot.exchange(loading(LookupModel("third")))
    assert await ask(batcher) == "old"

    free.set()
    await eventually(lambda: late.closed)
    assert await ask(batcher) == "old"


async def test_an_agent_that_leaves_does_not_wait_for_a_model_that_loads(
    slots: Callable[..., Opened],
) -> None:
    free, late, old = threading.Event(), LookupModel("late"), LookupModel("old")
    slot, batcher = slots(old)

    def hang() -> Model:
        assert free.wait(30)
        return late

    exchanging = asyncio.create_task(slot.exchange(hang))
    await asyncio.sleep(0)
    exchanging.cancel()
    await asyncio.gather(exchanging, return_exceptions=True)
    await batcher.close()
    slot.close()
    assert old.closed
    with pytest.raises(Stopping):
        await slot.exchange(loading(LookupModel("new")))

    free.set()
    await eventually(lambda: late.closed)


async def test_an_agent_that_leaves_while_its_model_takes_the_place_closes_both(
    slots: Callable[..., Opened],
) -> None:
    old, new = LookupModel("old"), LookupModel("new")
    slot, batcher = slots(old)
    old.hold()
    first = asyncio.create_task(ask(batcher))
    await eventually(lambda: old.busy)
    exchanging = asyncio.create_task(slot.exchange(loading(new)))
    await eventually(lambda: len(new.seen) > len(PROBES))

    exchanging.cancel()
    await asyncio.gather(exchanging, return_exceptions=True)
    old.release()
    assert await first == "old"
    await batcher.close()
    slot.close()

    await eventually(lambda: old.closed and new.closed)
