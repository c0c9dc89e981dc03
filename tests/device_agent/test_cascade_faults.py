"""Three tiers over each broker, of which some die, leave or are late."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from shared.agent.settings import LimitSettings, UpstreamSettings
from shared.runtimes import ModelSettings
from tests.support.cascade_results import who
from tests.support.cascades import EASY, HARD, HARDEST, Cascade, cascade
from tests.support.wires import MqttWire, eventually

if TYPE_CHECKING:
    from tests.support.processes import BrokerProcess
    from tests.support.wires import Wire


async def test_when_an_edge_dies_at_work_another_answers(tiers: Cascade) -> None:
    for name in ("edge-1", "edge-2"):
        await tiers.edge(name)
    device = await tiers.device()
    for name in ("edge-1", "edge-2"):
        tiers.models[name].hold()

    asked = device.submit(HARD)
    await eventually(lambda: tiers.models["edge-1"].busy or tiers.models["edge-2"].busy)
    dead, other = ("edge-1", "edge-2") if tiers.models["edge-1"].busy else ("edge-2", "edge-1")
    tiers.kill(dead)
    tiers.models[other].release()

    result = await asked
    assert (who(result), result.degraded) == (other, "")


async def test_when_the_only_edge_dies_at_work_the_device_answers_itself(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()
    tiers.models["edge-1"].hold()

    asked = device.submit(HARD)
    await eventually(lambda: tiers.models["edge-1"].busy)
    tiers.kill("edge-1")
    result = await asked

    assert (who(result), result.degraded) == ("device-1", "no agent above is alive")


async def test_when_the_cloud_dies_at_work_the_prompt_still_gets_one_result(
    tiers: Cascade,
) -> None:
    await tiers.cloud()
    await tiers.edge()
    device = await tiers.device()
    tiers.models["cloud-1"].hold()

    asked = device.submit(HARDEST)
    await eventually(lambda: tiers.models["cloud-1"].busy)
    tiers.kill("cloud-1")
    result = await asked

    assert (who(result), result.degraded) == ("edge-1", "no cloud agent took the prompt")


async def test_a_slow_edge_answers_a_repeat_from_memory_and_the_result_counts_once(
    tiers: Cascade,
) -> None:
    await tiers.edge()
    device = await tiers.device()
    model = tiers.models["edge-1"]
    model.hold()

    asked = device.submit(HARD)
    repeats = tiers.parts["edge-1"].metrics.repeats.labels("prompt")
    await eventually(lambda: repeats._value.get() >= 1, "the device asked again")
    model.release()
    result = await asked

    assert who(result) == "edge-1"
    assert model.seen == [HARD], "the model ran once"


async def test_a_failure_above_falls_back_to_the_devices_own_answer(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()
    tiers.models["edge-1"].fails.add(HARD)

    result = await device.ask(HARD)

    assert who(result) == "device-1"
    assert (
        result.degraded
        == "the tier above failed: put aside after 3 attempts: no answer to this one"
    )


async def test_time_that_runs_out_above_ends_in_the_devices_own_answer(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()
    tiers.models["edge-1"].hold()

    started_s = time.monotonic()
    result = await device.ask(HARD, timeout_s=0.6)

    assert (who(result), result.degraded) == ("device-1", "no better answer came in time")
    assert 0.5 < time.monotonic() - started_s < 3


async def test_leaving_gives_every_prompt_a_result_first(wire: Wire) -> None:
    async with cascade(wire) as tiers:
        await tiers.edge()
        async with cascade(wire) as inner:
            device = await inner.device(knows_above=False)
            await tiers.sees(device, "edge-1")
            tiers.models["edge-1"].hold()
            above = device.submit(HARD)
            await eventually(lambda: tiers.models["edge-1"].busy)
            in_hand = device.submit(EASY)
            started_s = time.monotonic()

        assert above.done()
        assert in_hand.done()
        assert (who(above.result()), above.result().degraded) == (
            "device-1",
            "the device is shutting down",
        )
        assert who(in_hand.result()) == "device-1"
        assert time.monotonic() - started_s < 8


async def test_an_edge_that_leaves_hands_back_what_it_did_not_begin(wire: Wire) -> None:
    patient = UpstreamSettings(patience_s=5, retry_min_s=8, retry_max_s=8)
    hurried = LimitSettings(drain_s=0.2)
    async with cascade(wire) as tiers:
        async with cascade(wire, release=False) as leaving:
            one_by_one = ModelSettings(source="looked-up", batch_prompts=1)
            slow = await leaving.edge("edge-1", limits=hurried, model=one_by_one)
            device = await tiers.device(knows_above=False, upstream=patient)
            await tiers.sees(device, "edge-1")
            slow.hold()
            first = device.submit(HARD)
            await eventually(lambda: slow.busy)
            waiting = [device.submit(HARD) for _ in range(3)]
            await eventually(lambda: leaving.parts["edge-1"].batcher.waiting == 4)
            await tiers.edge("edge-2")
            await tiers.sees(device, "edge-2")
            asyncio.get_running_loop().call_later(0.6, slow.release)

        results = await asyncio.wait_for(asyncio.gather(first, *waiting), 5)

    assert [who(result) for result in results] == ["edge-1", *["edge-2"] * 3]
    assert not any(result.degraded for result in results)


async def test_a_broker_that_freezes_costs_no_prompt_its_result(own_broker: BrokerProcess) -> None:
    async with cascade(MqttWire(own_broker)) as tiers:
        await tiers.edge()
        device = await tiers.device()
        own_broker.freeze()

        started_s = time.monotonic()
        result = await device.ask(HARD, timeout_s=0.5)

        assert (who(result), result.degraded) == ("device-1", "no better answer came in time")
        assert time.monotonic() - started_s < 3
        own_broker.thaw()


async def test_a_broker_that_is_killed_and_comes_back_costs_nothing_but_time(
    own_broker: BrokerProcess,
) -> None:
    async with cascade(MqttWire(own_broker)) as tiers:
        await tiers.edge()
        device = await tiers.device(
            upstream=UpstreamSettings(patience_s=20, retry_min_s=0.5, retry_max_s=1),
            limits=LimitSettings(timeout_s=40),
        )
        asked = [device.submit(HARD) for _ in range(10)]
        await eventually(lambda: tiers.models["edge-1"].busy)

        own_broker.kill()
        asked += [device.submit(HARD) for _ in range(10)]
        own_broker.start()

        results = await asyncio.wait_for(asyncio.gather(*asked), 30)
        assert {who(result) for result in results} == {"edge-1"}
        assert len({result.id for result in results}) == 20
