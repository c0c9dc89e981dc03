"""Copies of results: for policies that learn, and never another device's."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from shared.agent.settings import TierSettings, UpstreamSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import PassAll, Quality
from shared.messages import Hop, Result
from shared.tasks.classify import Label
from shared.wire.codec import decode_result, encode_result
from tests.support.bench import DEVICE_HOP, ROOT, Bench
from tests.support.cascades import HARD
from tests.support.wires import eventually


async def test_a_policy_that_learns_asks_for_a_copy_and_keeps_it_for_repeats() -> None:
    checks_all = TierSettings(name="edge", policy=Quality(audit=1.0), upstream="cloud")
    bench = await Bench(tier=checks_all).start()
    await bench.cloud("cloud-1")
    prompt_id = await bench.send(HARD)
    _, prompt = await bench.escalated()
    assert prompt.copy

    answer = Result(prompt_id, Label("cloud says"), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
    await bench.tester.publish(f"{ROOT}/results/edge-1", encode_result(answer, known_hops=0))
    await bench.results.next()
    await eventually(lambda: bench.service._admission._sent_on.by_id(prompt_id) is None)
    await bench.send(HARD, prompt_id=prompt_id)

    again = await bench.result()
    assert again.outcome == Label("cloud says")
    assert [hop.tier for hop in again.hops] == ["edge", "cloud"]
    await bench.close()


async def test_whoever_asked_for_a_copy_gets_one_beside_the_origin(bench: Bench) -> None:
    sender = Hop("fog", "fog-1", 0.5, 0.7, 10)
    await bench.send(HARD, hops=(DEVICE_HOP, sender), copy=True)

    messages = [await bench.results.next() for _ in range(2)]

    assert [message.topic for message in messages] == [
        f"{ROOT}/results/device-1",
        f"{ROOT}/results/fog-1",
    ]
    hops = []
    for message in messages:
        came = decode_result(message.payload)
        assert isinstance(came, Result)
        hops.append([hop.tier for hop in came.hops])
    assert hops == [["fog", "edge"], ["edge"]]


async def test_a_relay_gives_each_device_the_answer_to_its_own_text() -> None:
    """Ids are drawn by devices, each for itself; above a relay there is one origin for all."""
    bench = await Bench(
        tier=TierSettings(name="edge", policy=PassAll(), upstream="cloud"),
        upstream=UpstreamSettings(mqtt=MqttSettings(port=1884)),
    ).start()
    await bench.parts.upper_bus.start()
    await bench.cloud("cloud-1")
    prompt_id = uuid4()
    asked = {}
    for device, text in (("device-2", "not a word of truth"), ("device-1", "what a lovely day")):
        await bench.send(text, prompt_id=prompt_id, origin=device, hops=())
        _, above = await bench.escalated()
        asked[above.text] = above.id
    assert len(set(asked.values()) | {prompt_id}) == 3

    for text, id_above in asked.items():
        answer = Result(id_above, Label(text), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
        topic = f"{ROOT}/results/edge-1"
        await bench.tester.publish(topic, encode_result(answer, known_hops=0))

    told: dict[str, object] = {}
    while len(told) < 2:
        message = await bench.results.next()
        came = decode_result(message.payload)
        if isinstance(came, Result) and not message.topic.endswith("edge-1"):
            assert came.id == prompt_id
            told[message.topic.rpartition("/")[2]] = came.outcome
    assert told == {
        "device-1": Label("what a lovely day"),
        "device-2": Label("not a word of truth"),
    }
    await bench.close()


async def test_a_copy_that_may_be_another_devices_is_not_kept_for_either() -> None:
    checks_all = TierSettings(name="edge", policy=Quality(audit=1.0), upstream="cloud")
    bench = await Bench(tier=checks_all).start()
    await bench.cloud("cloud-1")
    prompt_id = uuid4()
    for device in ("device-1", "device-2"):
        await bench.send(HARD, prompt_id=prompt_id, origin=device, hops=())
        await bench.escalated()

    answer = Result(prompt_id, Label("of one"), (Hop("cloud", "cloud-1", 0.9, 0.1, 10),))
    await bench.tester.publish(f"{ROOT}/results/edge-1", encode_result(answer, known_hops=0))
    await bench.results.next()
    await asyncio.sleep(0.25)
    await bench.send(HARD, prompt_id=prompt_id, origin="device-1", hops=())
    agent, _ = await bench.escalated()
    assert agent == "cloud-1", "it goes up again"
    await bench.close()
