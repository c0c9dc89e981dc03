"""The whole cascade over every wire: where prompts go, and that each ends in exactly one result."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shared.agent.settings import LimitSettings, TierSettings, UpstreamSettings
from shared.messages import Failure, Result
from shared.runtimes import ModelSettings
from shared.tasks.classify import Label
from shared.wire.codec import encode_result
from tests.support.cascades import EASY, HARD, HARDEST, SURE, UNSURE, Cascade, cascade
from tests.support.processes import BrokerProcess
from tests.support.wires import MqttWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from device_agent import Device
    from tests.support.wires import Wire


@pytest.fixture
async def tiers(wire: Wire) -> AsyncIterator[Cascade]:
    async with cascade(wire) as running:
        yield running


def who(result: Result) -> str:
    """The agent whose answer it is: a looked-up model answers its own name."""
    assert isinstance(result.outcome, Label), result.outcome
    return result.outcome.label


def count(device: Device, name: str, **labels: str) -> float:
    return device.parts.metrics.registry.get_sample_value(name, labels) or 0.0


# -- where prompts go --------------------------------------------------------------------------


async def test_easy_stays_hard_goes_to_the_edge_and_the_hardest_to_the_cloud(
    tiers: Cascade,
) -> None:
    await tiers.cloud()
    await tiers.edge()
    device = await tiers.device()

    easy, hard, hardest = [await device.ask(text) for text in (EASY, HARD, HARDEST)]

    assert [who(result) for result in (easy, hard, hardest)] == ["device-1", "edge-1", "cloud-1"]
    assert not any(result.degraded for result in (easy, hard, hardest))
    assert [(hop.tier, hop.agent, hop.confidence, hop.threshold) for hop in hardest.hops] == [
        ("device", "device-1", UNSURE, SURE),
        ("edge", "edge-1", UNSURE, SURE),
        ("cloud", "cloud-1", UNSURE, SURE),
    ]
    assert [(hop.tier, hop.confidence_kind) for hop in hard.hops] == [
        ("device", "max_probability"),
        ("edge", "max_probability"),
    ]
    assert [hop.tier for hop in easy.hops] == ["device"]
    assert [hop.confidence_kind for hop in hardest.hops][2:] == [""], "it hears no cloud agent"
    assert tiers.models["cloud-1"].seen == [HARDEST]
    assert tiers.models["edge-1"].seen == [HARD, HARDEST]


async def test_many_prompts_at_once_each_get_their_own_result(tiers: Cascade) -> None:
    await tiers.cloud()
    await tiers.edge("edge-1")
    await tiers.edge("edge-2")
    device = await tiers.device()

    asked = {uuid4(): text for text in [EASY, HARD, HARDEST] * 40}
    results = await asyncio.gather(
        *(device.ask(text, prompt_id=prompt_id) for prompt_id, text in asked.items())
    )

    assert {result.id for result in results} == set(asked)
    tier_of = {EASY: "device", HARD: "edge", HARDEST: "cloud"}
    assert [result.tier for result in results] == [tier_of[text] for text in asked.values()]
    assert tiers.models["edge-1"].seen, "the first edge agent had its share"
    assert tiers.models["edge-2"].seen, "the second edge agent had its share"


async def test_the_bytes_of_every_link_are_counted(tiers: Cascade) -> None:
    await tiers.cloud()
    await tiers.edge()
    device = await tiers.device(upstream=UpstreamSettings(retry_min_s=8, retry_max_s=8))

    await device.ask(HARDEST)

    up = count(device, "recserve_link_bytes_total", link="device-edge", direction="up")
    assert 60 < up < 200
    cloud = tiers.parts["cloud-1"].metrics.link_bytes
    downs = [cloud.labels(link, "down")._value for link in ("device-edge", "edge-cloud")]
    # Counted when the broker has said that it has the result, which may be after it is here.
    await eventually(lambda: all(60 < down.get() < 200 for down in downs), "bytes on both links")


# -- nobody above ------------------------------------------------------------------------------


async def test_without_an_edge_a_device_answers_itself_once_its_patience_ends(
    tiers: Cascade,
) -> None:
    device = await tiers.device()

    started_s = time.monotonic()
    result = await device.ask(HARD)

    assert (who(result), result.degraded) == ("device-1", "no agent above is alive")
    assert 0.25 < time.monotonic() - started_s < 3
    assert count(
        device, "recserve_prompts_total", tier="device", task="classify", outcome="degraded"
    )


async def test_an_edge_that_comes_in_time_gets_what_waited_for_it(tiers: Cascade) -> None:
    device = await tiers.device(
        upstream=UpstreamSettings(patience_s=8, retry_min_s=0.5, retry_max_s=1)
    )
    asked = device.submit(HARD)
    await asyncio.sleep(0.05)
    assert not asked.done()

    await tiers.edge()

    assert who(await asked) == "edge-1"


async def test_without_a_cloud_the_edge_answers_itself_and_says_so(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()

    result = await device.ask(HARDEST)

    assert (who(result), result.degraded) == ("edge-1", "no cloud agent took the prompt")
    assert [hop.tier for hop in result.hops] == ["device", "edge"]


async def test_a_device_with_nothing_above_it_keeps_everything(tiers: Cascade) -> None:
    device = await tiers.device(tier=TierSettings(name="device"), knows_above=False)
    result = await device.ask(HARDEST)
    assert (who(result), result.degraded) == ("device-1", "")


# -- things that break -------------------------------------------------------------------------


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


async def test_a_second_result_of_a_prompt_is_counted_and_dropped(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()
    result = await device.ask(HARD)

    payload = encode_result(result, known_hops=1)
    edge = tiers.parts["edge-1"]
    await edge.bus.publish(edge.topics.results("device-1"), payload)

    await eventually(lambda: count(device, "recserve_repeats_total", kind="result") == 1)


async def test_word_of_prompts_that_nobody_asked_is_dropped(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device()
    edge = tiers.parts["edge-1"]
    stranger = Result(uuid4(), Failure("model_failed", "of another prompt"))

    for payload in (encode_result(stranger, known_hops=0), b"no message", b""):
        await edge.bus.publish(edge.topics.results("device-1"), payload)

    await eventually(lambda: count(device, "recserve_refused_total", fault="malformed") == 2)
    assert who(await device.ask(HARD)) == "edge-1"


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


async def test_a_device_may_be_asked_before_there_is_a_broker(tmp_path: Path) -> None:
    broker = BrokerProcess("mosquitto", tmp_path)
    async with cascade(MqttWire(broker)) as tiers:
        device = await tiers.device(
            upstream=UpstreamSettings(patience_s=9, retry_min_s=0.3, retry_max_s=1)
        )
        easy, asked = await device.ask(EASY), device.submit(HARD)

        broker.start()
        await tiers.edge()

        assert who(easy) == "device-1"
        assert who(await asked) == "edge-1"
    broker.kill()
