"""A model is exchanged while prompts come in: checked first, between two batches, and closed after.
Whatever is wrong with the new one, the one before answers on."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable, Stopping
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.serving.batcher import Batcher
from shared.serving.slot import PROBES, ModelSlot
from shared.tasks import Request, to_line
from shared.tasks.classify import Label
from tests.support.fakes import LookupModel
from tests.support.tiny_models import write_bundle
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from shared.runtimes import Model

FAR_S = float("inf")
Opened = tuple[ModelSlot, Batcher]


class Odd(LookupModel):
    """Answers a probe as told."""

    def __init__(self, entry: Scored | ModelFailed | None) -> None:
        super().__init__("odd")
        self.entry = entry

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        return [] if self.entry is None else [self.entry for _ in requests]


@pytest.fixture
async def slots() -> AsyncIterator[Callable[..., Opened]]:
    """Makes slots before running batchers, and closes both as an agent does."""
    made: list[Opened] = []

    def make(model: Model, **options: Any) -> Opened:
        around = options.get("around", lambda model: model)
        batcher = Batcher(around(model), batch_prompts=4, queue_prompts=10_000)
        slot = ModelSlot(model, batcher, **{"exchanged": lambda _, __: None, **options})
        batcher.start()
        made.append((slot, batcher))
        return slot, batcher

    yield make
    for slot, batcher in made:
        await batcher.close()
        slot.close()


async def ask(batcher: Batcher, text: str = "hello") -> str:
    """Return which model answered."""
    scored = await batcher.solve(Request("classify", text), deadline_s=FAR_S)
    return to_line(scored.answer)


def loading(model: Model) -> Callable[[], Model]:
    return lambda: model


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


async def test_exchanges_asked_for_at_once_take_turns(slots: Callable[..., Opened]) -> None:
    first = LookupModel("first")
    models = [LookupModel(f"{n}") for n in range(5)]
    slot, batcher = slots(first)

    await asyncio.gather(*(slot.exchange(loading(model)) for model in models))

    assert await ask(batcher) == "4"
    assert [model.closed for model in (first, *models)] == [True] * 5 + [False]


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
