"""The whole cascade over every wire: where prompts go, and that each ends in exactly one result."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from shared.agent.settings import TierSettings, UpstreamSettings
from shared.messages import Failure, Result
from shared.wire.codec import encode_result
from tests.support.cascade_results import count, who
from tests.support.cascades import EASY, HARD, HARDEST, SURE, UNSURE, Cascade, cascade
from tests.support.processes import BrokerProcess
from tests.support.wires import MqttWire, eventually

if TYPE_CHECKING:
    from pathlib import Path


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


# -- word that nobody waits for ------------------------------------------------------------------


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
