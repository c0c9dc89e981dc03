"""A device in a program: one result for each ask, whatever the program and the model do."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from device_agent import Device
from experiments.testbed.processes import free_port
from shared.agent.settings import LimitSettings, TierSettings, UpstreamSettings
from shared.bus.memory import MemoryBus
from shared.bus.mqtt.settings import MqttSettings
from shared.errors import BundleError, SettingsError
from shared.messages import Failure, Result
from shared.tasks.classify import Label
from tests.support.cascades import EASY, HARD, Cascade, cascade, device_settings
from tests.support.fakes import BREAKS, FAILS, LookupModel
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.bus import Bus, Published, Will
    from shared.tasks import Task

ALONE = TierSettings(name="device")


@pytest.fixture
async def tiers() -> AsyncIterator[Cascade]:
    async with cascade(MemoryWire()) as running:
        yield running


@pytest.fixture
async def device(tiers: Cascade) -> Device:
    """A device with nothing above it, which answers two prompts at a time."""
    return await tiers.device(tier=ALONE, in_flight=2, knows_above=False)


@pytest.fixture
def model(device: Device, tiers: Cascade) -> LookupModel:
    return tiers.models["device-1"]


def code(result: Result) -> str:
    assert isinstance(result.outcome, Failure)
    return result.outcome.code


async def test_a_result_carries_answer_id_and_hop(device: Device) -> None:
    prompt_id = uuid4()
    result = await device.ask(EASY, prompt_id=prompt_id)
    assert (result.id, result.outcome, result.tier) == (prompt_id, Label("device-1"), "device")
    assert result.hops[0].elapsed_us > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "invalid_prompt"),
        (" \n", "invalid_prompt"),
        ("x" * 65_537, "invalid_prompt"),
        ("half a \ud800 character", "invalid_prompt"),
        (5, "invalid_prompt"),
        (None, "invalid_prompt"),
        (FAILS, "model_failed"),
        (BREAKS, "model_failed"),
    ],
)
async def test_what_cannot_be_answered_is_a_failure_and_never_an_exception(
    device: Device, text: str, expected: str
) -> None:
    assert code(await device.ask(text)) == expected
    assert (await device.ask(EASY)).outcome == Label("device-1")


@pytest.mark.parametrize("task", ["generate", "translate", "", None])
async def test_a_task_that_nobody_answers_is_a_failure(device: Device, task: Task) -> None:
    assert code(await device.ask(EASY, task=task)) == "unknown_task"


async def test_a_prompt_whose_time_is_up_before_it_begins_is_a_failure(device: Device) -> None:
    assert code(await device.ask(EASY, timeout_s=0)) == "expired"
    assert code(await device.ask(EASY, timeout_s=-1)) == "expired"


async def test_a_model_that_is_slower_than_allowed_is_not_waited_for(
    device: Device, model: LookupModel
) -> None:
    model.hold()
    started_s = time.monotonic()

    assert code(await device.ask(EASY, timeout_s=0.2)) == "expired"

    assert time.monotonic() - started_s < 3


async def test_no_more_prompts_are_in_flight_than_allowed(
    device: Device, model: LookupModel
) -> None:
    model.hold()
    asked = [device.submit(EASY) for _ in range(5)]
    await eventually(lambda: device.parts.batcher.waiting == 2)
    await asyncio.sleep(0.05)
    assert device.parts.batcher.waiting == 2

    model.release()
    assert len(await asyncio.gather(*asked)) == 5


async def test_one_id_asked_twice_at_a_time_is_one_prompt(
    device: Device, model: LookupModel
) -> None:
    prompt_id = uuid4()
    model.hold()
    both = [device.submit(EASY, prompt_id=prompt_id) for _ in range(2)]
    await eventually(lambda: model.busy)
    model.release()

    first, second = await asyncio.gather(*both)

    assert first is second
    assert model.seen.count(EASY) == 2, "once to warm up and once for both"


async def test_one_id_asked_twice_while_there_is_no_room_is_one_prompt(
    device: Device, model: LookupModel
) -> None:
    prompt_id = uuid4()
    model.hold()
    before = [device.submit("before") for _ in range(2)]
    both = [device.submit(EASY, prompt_id=prompt_id) for _ in range(2)]
    await eventually(lambda: model.busy)
    model.release()

    results = await asyncio.wait_for(asyncio.gather(*before, *both), 5)

    assert results[2] is results[3]


async def test_an_id_that_is_asked_again_gets_its_answer_and_is_not_judged_again(
    device: Device, model: LookupModel
) -> None:
    prompt_id = uuid4()
    first = await device.ask(EASY, prompt_id=prompt_id)
    judged = len(model.seen)
    assert await device.ask(EASY, prompt_id=prompt_id) == first
    assert len(model.seen) == judged


async def test_an_id_that_failed_may_be_asked_again(device: Device, model: LookupModel) -> None:
    prompt_id = uuid4()
    assert code(await device.ask(FAILS, prompt_id=prompt_id)) == "model_failed"
    model.fails.clear()
    assert (await device.ask(FAILS, prompt_id=prompt_id)).outcome == Label("device-1")


async def test_when_the_first_asker_goes_away_the_second_still_gets_a_result(
    device: Device, model: LookupModel
) -> None:
    prompt_id = uuid4()
    model.hold()
    first, second = (device.submit(EASY, prompt_id=prompt_id) for _ in range(2))
    await eventually(lambda: model.busy)

    first.cancel()
    model.release()

    assert (await asyncio.wait_for(second, 5)).outcome == Label("device-1")
    assert first.cancelled()


async def test_an_id_asked_again_just_as_its_result_comes_gets_that_result(
    tiers: Cascade,
) -> None:
    await tiers.edge()
    device = await tiers.device()
    tiers.models["edge-1"].hold()
    prompt_id = uuid4()
    first = device.submit(HARD, prompt_id=prompt_id)
    await eventually(lambda: tiers.models["edge-1"].busy)

    second = device.submit(HARD, prompt_id=prompt_id)
    device.delivery._on_result(Result(prompt_id, Label("from above")))

    assert (await asyncio.wait_for(first, 5)).outcome == Label("from above")
    assert (await asyncio.wait_for(second, 5)).outcome == Label("from above")


async def test_an_asker_that_goes_away_leaves_nothing_behind(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()
    tiers.models["edge-1"].hold()
    asked = device.submit(HARD)
    await eventually(lambda: tiers.models["edge-1"].busy)

    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)

    assert len(device.delivery._delivery) == 0
    assert len(device.delivery.pending) == 0


async def test_an_answer_that_overtakes_the_brokers_word_is_taken_at_once() -> None:
    class LateWord(MemoryBus):
        """Says that a prompt was sent long after it arrived."""

        async def publish(self, topic: str, payload: bytes, **how: Any) -> Published:
            delivery = await super().publish(topic, payload, **how)
            await asyncio.sleep(0.3 if "/prompts/" in topic else 0)
            return delivery

    class LateWire(MemoryWire):
        def bus(self, name: str, will: Will | None = None) -> Bus:
            return LateWord(self.broker, name, will)

    async with cascade(LateWire()) as tiers:
        await tiers.edge()
        device = await tiers.device(upstream=UpstreamSettings(retry_min_s=5, retry_max_s=5))
        started_s = time.monotonic()
        result = await device.ask(HARD)

    assert (result.outcome, result.degraded) == (Label("edge-1"), "")
    assert time.monotonic() - started_s < 2


async def test_what_is_asked_after_leaving_began_is_refused() -> None:
    async with cascade(MemoryWire()) as tiers:
        device = await tiers.device(tier=ALONE, knows_above=False)
    assert code(await device.ask(EASY)) == "stopping"


async def test_a_prompt_still_in_the_model_when_leaving_gets_its_result() -> None:
    async with cascade(MemoryWire(), release=False) as tiers:
        # Longer than the last second of leaving, which would hide a prompt that nobody settles.
        limits = LimitSettings(timeout_s=10, drain_s=1.2)
        device = await tiers.device(limits=limits, knows_above=False)
        model = tiers.models["device-1"]
        model.hold()
        begun = device.submit(HARD)
        await eventually(lambda: model.busy)
        waiting = device.submit(HARD)
        asyncio.get_running_loop().call_later(2.6, model.release)

    result = await asyncio.wait_for(begun, 1)
    assert (result.outcome, result.degraded) == (Label("device-1"), "the device is shutting down")
    assert code(await asyncio.wait_for(waiting, 1)) == "stopping"


async def test_a_device_answers_while_there_is_no_broker() -> None:
    settings = device_settings(
        MemoryWire(), mqtt=MqttSettings(port=free_port()), limits=LimitSettings(drain_s=0.2)
    )
    async with Device.open(settings, model=LookupModel("device-1")) as device:
        result = await asyncio.wait_for(device.ask(EASY), 5)
    assert result.outcome == Label("device-1")


async def test_a_model_that_was_lent_is_left_open_for_other_devices() -> None:
    wire, shared_model = MemoryWire(), LookupModel("lent")
    opened = [
        Device.open(device_settings(wire, name), model=shared_model, connect=wire.connect)
        for name in ("device-1", "device-2")
    ]
    async with opened[0]:
        pass
    async with opened[1] as second:
        assert (await second.ask(EASY)).outcome == Label("lent")
    assert not shared_model.closed


async def test_settings_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "device.yaml"
    file.write_text(
        "agent: device-9\ntier: {name: device}\nmodel: {source: ./nowhere}\n", encoding="utf-8"
    )
    with pytest.raises(BundleError, match="nowhere"):
        async with Device.open(file):
            pass
    wire = MemoryWire()
    opened = Device.open(str(file), model=LookupModel("m"), connect=wire.connect)
    async with opened as device:
        assert (await device.ask(EASY)).hops[0].agent == "device-9"


async def test_a_settings_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read"):
        async with Device.open(tmp_path / "nowhere.yaml"):
            pass
