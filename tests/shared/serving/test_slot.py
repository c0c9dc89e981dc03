"""A model is exchanged while prompts come in: checked first, between two batches, and closed after.
Whatever is wrong with the new one, the one before answers on."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from shared.runtimes import ModelSettings, load_model
from shared.serving.slot import PROBES
from tests.support.fakes import LookupModel
from tests.support.slots import Opened, ask, loading
from tests.support.tiny_models import write_bundle
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shared.errors import ModelFailed
    from shared.messages import Scored
    from shared.runtimes import Model
    from shared.tasks import Request


async def test_the_new_model_answers_and_the_one_before_is_closed(
    slots: Callable[..., Opened],
) -> None:
    old, new, heard = (
        LookupModel("old"),
        LookupModel("new"),
        list[tuple[LookupModel, LookupModel]](),
    )
    slot, batcher = slots(old, exchanged=lambda *models: heard.append(models))
    assert await ask(batcher) == "old"

    await slot.exchange(loading(new))

    assert await ask(batcher) == "new"
    assert (slot.model, old.closed, new.closed, heard) == (new, True, False, [(new, old)])
    assert set(PROBES) < set(new.seen)


async def test_a_batch_that_runs_is_finished_by_the_model_that_began_it(
    slots: Callable[..., Opened],
) -> None:
    old, new = LookupModel("old"), LookupModel("new")
    slot, batcher = slots(old)
    old.hold()
    first = asyncio.create_task(ask(batcher))
    await eventually(lambda: old.busy)

    exchanging = asyncio.create_task(slot.exchange(loading(new)))
    await eventually(lambda: bool(new.seen), "the new one is probed meanwhile")
    later = [asyncio.create_task(ask(batcher, f"{n}")) for n in range(10)]
    assert not old.closed
    old.release()
    await exchanging

    assert await first == "old"
    answered = await asyncio.gather(*later)
    assert answered[-1] == "new"
    assert sorted(answered, reverse=True) == answered, "never back"


async def test_prompts_are_answered_while_a_model_loads(slots: Callable[..., Opened]) -> None:
    ready, new = threading.Event(), LookupModel("new")
    slot, batcher = slots(LookupModel("old"))

    def load() -> Model:
        assert ready.wait(30)
        return new

    exchanging = asyncio.create_task(slot.exchange(load))
    assert [await ask(batcher) for _ in range(20)] == ["old"] * 20
    ready.set()
    await exchanging
    assert await ask(batcher) == "new"


async def test_exchanges_asked_for_at_once_take_turns(slots: Callable[..., Opened]) -> None:
    first = LookupModel("first")
    models = [LookupModel(f"{n}") for n in range(5)]
    slot, batcher = slots(first)

    await asyncio.gather(*(slot.exchange(loading(model)) for model in models))

    assert await ask(batcher) == "4"
    assert [model.closed for model in (first, *models)] == [True] * 5 + [False]


async def test_a_model_that_was_lent_is_never_closed(slots: Callable[..., Opened]) -> None:
    lent, new = LookupModel("lent"), LookupModel("new")
    slot, batcher = slots(lent, lent=True)

    await slot.exchange(loading(new))
    await batcher.close()
    slot.close()

    assert (lent.closed, new.closed) == (False, True)


async def test_what_stands_around_the_model_stands_around_the_next_and_sees_no_probe(
    slots: Callable[..., Opened],
) -> None:
    guarded: list[str] = []

    class Guard(LookupModel):
        def __init__(self, model: Model) -> None:
            super().__init__(model.name)

        def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
            guarded.extend(request.content for request in requests)
            return super().answer(requests)

    slot, batcher = slots(LookupModel("old"), around=Guard)
    await ask(batcher, "one")
    await slot.exchange(loading(LookupModel("new")))
    await ask(batcher, "two")

    assert guarded == ["one", "two"]


async def test_what_the_new_model_takes_is_measured_anew(slots: Callable[..., Opened]) -> None:
    slot, batcher = slots(LookupModel("slow", takes_s=0.05))
    await ask(batcher)
    assert batcher.service_s >= 0.05

    await slot.exchange(loading(LookupModel("fast")))
    assert batcher.service_s >= 0.05, "until there is something better"
    await ask(batcher)

    assert batcher.service_s < 0.05


async def test_real_bundles_are_exchanged_under_load(
    slots: Callable[..., Opened], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        write_bundle(tmp_path / name, name=name)
    settings = [ModelSettings(source=str(tmp_path / name)) for name in ("one", "two")]
    slot, batcher = slots(load_model(settings[0]))
    asked = [asyncio.create_task(ask(batcher, "a good film")) for _ in range(200)]

    for number in range(6):
        await slot.exchange(lambda wanted=settings[(number + 1) % 2]: load_model(wanted))  # type: ignore[misc] # a lambda's default
        asked += [asyncio.create_task(ask(batcher, "a good film")) for _ in range(200)]
        await asyncio.sleep(0)

    assert set(await asyncio.gather(*asked)) == {"positive"}
    assert slot.model.name == "one"
