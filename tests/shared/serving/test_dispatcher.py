"""An escalated prompt goes to one living agent above, and to another if need be."""

from __future__ import annotations

import time

import msgspec
import pytest

from shared.bus.memory import MemoryBroker
from shared.errors import NotConnected
from shared.membership.breaker import FAILURES
from shared.membership.status import VERSION, Status, encode_status, name_labels
from shared.messages import Hop
from shared.serving.dispatcher import Dispatcher
from shared.telemetry.metrics import Metrics
from shared.wire.burden import packet_bytes
from shared.wire.codec import decode_prompt
from shared.wire.topics import Topics
from tests.support.dispatching import HOP, PROMPT, ROOT, Bench
from tests.support.wires import Inbox, eventually, settled


async def test_with_nobody_above_nothing_is_sent() -> None:
    bench = await Bench().start()
    assert await bench.send() == ""
    assert not bench.broker.published


async def test_the_prompt_is_put_on_the_topic_of_a_living_agent_and_counted() -> None:
    bench = await Bench().start()
    inbox = await bench.listen("edge-1")
    await bench.announce("edge-1")

    assert await bench.send() == "edge-1"

    message = await inbox.next()
    assert message.topic == f"{ROOT}/prompts/edge-1/classify/device-1"
    address = Topics().read_prompt(message.topic)
    read = decode_prompt(message.payload, address, now_s=0.0)
    assert (read.id, read.text, read.hops[0].agent) == (PROMPT.id, "text", "device-1")
    labels = {"link": "device-edge", "direction": "up"}
    counted = bench.metrics.registry.get_sample_value("recserve_link_bytes_total", labels)
    assert counted == packet_bytes(message.topic, message.payload)


async def test_agents_that_were_tried_are_passed_over_until_told_to_try_again() -> None:
    bench = await Bench().start()
    for agent in ("edge-1", "edge-2"):
        await bench.listen(agent)
        await bench.announce(agent)

    assert await bench.send(tried={"edge-1"}) == "edge-2"
    assert await bench.send(tried={"edge-2"}) == "edge-1"
    assert await bench.send(tried={"edge-1", "edge-2"}) == ""
    assert await bench.send(tried={"edge-1", "edge-2"}, again=True) in ("edge-1", "edge-2")


async def test_a_prompt_goes_to_the_agent_named_and_to_another_if_that_one_is_gone() -> None:
    bench = await Bench().start()
    for agent in ("edge-1", "edge-2"):
        await bench.listen(agent)
        await bench.announce(agent)
    for _ in range(5):
        assert await bench.send(to="edge-2", tried={"edge-2"}) == "edge-2"

    await bench.announce("edge-2", state="offline")
    assert await bench.send(to="edge-2", tried={"edge-2"}) == "edge-1"


async def test_strangers_that_are_not_there_cost_a_prompt_a_few_tries_and_no_more() -> None:
    bench = await Bench().start()
    for number in range(20):
        await bench.announce(f"edge-{number}")
    published = bench.broker.published.total()

    assert await bench.send() == ""
    assert bench.broker.published.total() - published < 20


async def test_an_agent_whose_model_says_other_things_is_not_asked_and_the_log_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = await Bench(labels=name_labels(["calm", "angry"])).start()
    await bench.listen("edge-1")
    other = name_labels(["calm", "worried"])
    status = Status("online", 1, ("classify",), "other-model", labels=other, version=VERSION)
    await bench.upper.publish(f"{ROOT}/status/edge/edge-1", encode_status(status), retain=True)
    await eventually(lambda: "labels" in bench.dispatcher.why_nobody("classify"))

    assert await bench.send() == ""
    said = capsys.readouterr().out
    assert "other labels" in said
    assert "other-model" in said
    assert "worried" in said

    fits = msgspec.structs.replace(status, labels=name_labels(["angry", "calm"]))
    await bench.upper.publish(f"{ROOT}/status/edge/edge-1", encode_status(fits), retain=True)
    await eventually(lambda: bench.alive() == ["edge-1"])
    assert await bench.send() == "edge-1", "the order of labels is of no account"


async def test_an_agent_that_is_not_connected_is_passed_over_until_its_next_word() -> None:
    bench = await Bench().start()
    for agent in ("edge-1", "edge-2"):
        await bench.announce(agent)
    await bench.listen("edge-2")
    appeared = bench.appeared

    for _ in range(5):
        assert await bench.send() == "edge-2"
    assert bench.alive() == ["edge-2"]

    await bench.announce("edge-1")
    assert bench.appeared == appeared + 1, "prompts that found nobody are due again"


async def test_when_the_broker_knows_nobody_the_prompt_is_not_sent() -> None:
    bench = await Bench().start()
    await bench.announce("edge-1")
    assert await bench.send(again=True) == ""


async def test_without_a_connection_that_is_what_is_raised() -> None:
    bench = await Bench().start()
    await bench.announce("edge-1")
    bench.broker.drop("device-1")
    with pytest.raises(NotConnected):
        await bench.send()


async def test_a_prompt_may_pass_over_a_tier_and_takes_the_nearest_if_it_cannot() -> None:
    bench = await Bench(above=("edge", "cloud")).start()
    for agent, tier in (("edge-1", "edge"), ("cloud-1", "cloud")):
        await bench.listen(agent)
        await bench.announce(agent, tier=tier)

    assert await bench.send() == "edge-1"
    assert await bench.send(2) == "cloud-1"
    assert await bench.send(1, tried={"edge-1"}) == "cloud-1"
    assert await bench.send(2, tried={"cloud-1"}) == "edge-1"
    assert await bench.send(2, tried={"cloud-1", "edge-1"}) == ""


async def test_a_pool_is_addressed_by_its_name() -> None:
    bench = await Bench(pool="edges").start()
    inbox = await bench.listen("edges")
    await bench.announce("edge-1")
    assert await bench.send() == "edge-1"
    assert (await inbox.next()).topic == f"{ROOT}/prompts/edges/classify/device-1"


# -- listening on demand -----------------------------------------------------------------------


async def test_a_tier_whose_agents_all_fail_is_passed_over_as_if_it_were_dead() -> None:
    bench = await Bench(above=("edge", "cloud")).start()
    for agent, tier in (("edge-1", "edge"), ("edge-2", "edge"), ("cloud-1", "cloud")):
        await bench.listen(agent)
        await bench.announce(agent, tier=tier)
    for _ in range(FAILURES):
        bench.dispatcher.failed("edge-1")
    assert await bench.send() == "edge-2"
    for _ in range(FAILURES):
        bench.dispatcher.failed("edge-2")

    assert await bench.send() == "cloud-1"
    assert await bench.send(1, tried={"cloud-1"}) == ""
    assert bench.open_breakers("edge") == 2
    assert bench.open_breakers("cloud") == 0


async def test_an_agent_that_works_again_is_welcomed_like_one_that_came_back() -> None:
    bench = await Bench().start()
    await bench.listen("edge-1")
    await bench.announce("edge-1")
    for _ in range(FAILURES):
        bench.dispatcher.failed("edge-1")
    assert bench.appeared == 1

    bench.dispatcher.succeeded("edge-1")
    assert bench.appeared == 1, "a late answer earns a trial"
    assert await bench.send() == "edge-1"
    assert await bench.send() == ""
    bench.dispatcher.succeeded("edge-1")

    assert bench.appeared == 2
    assert bench.open_breakers("edge") == 0
    assert await bench.send() == "edge-1"


async def test_behind_a_pools_address_nobody_is_blamed() -> None:
    bench = await Bench(pool="edges").start()
    await bench.listen("edges")
    await bench.announce("edge-1")
    for _ in range(FAILURES):
        bench.dispatcher.failed("edge-1")
    assert await bench.send() == "edge-1"
    assert bench.open_breakers("edge") == 0


# -- a broker of their own for the tiers above -------------------------------------------------


async def test_an_agent_with_an_origin_of_its_own_sends_all_prompts_as_that() -> None:
    """The broker above knows the edge agent and none of its devices."""
    above = MemoryBroker()
    bus = await settled(above.client("edge-1"))
    cloud = await settled(above.client("cloud-1"))
    dispatcher = Dispatcher(
        bus, Topics(), Metrics(), tier="edge", above=("cloud",), origin="edge-1"
    )
    await dispatcher.start()
    inbox = Inbox(cloud)
    await cloud.subscribe(f"{ROOT}/prompts/cloud-1/#", inbox.take)
    status = b'{"state":"online","epoch":1,"tasks":["classify"]}'
    await cloud.publish(f"{ROOT}/status/cloud/cloud-1", status, retain=True)
    await eventually(lambda: bool(dispatcher.choice.rosters[0].alive("classify", time.monotonic())))
    hop = Hop("edge", "edge-1", 0.5, 0.6, 20)

    chosen = await dispatcher.send(PROMPT.after(hop, copy=True), 1)
    assert chosen is not None
    assert chosen.agent == "cloud-1"

    message = await inbox.next()
    assert message.topic == f"{ROOT}/prompts/cloud-1/classify/edge-1"
    read = decode_prompt(message.payload, Topics().read_prompt(message.topic), now_s=0.0)
    assert (read.origin, read.sender, read.id) == ("edge-1", "edge-1", PROMPT.id)
    assert read.hops == (HOP, hop), "all hops, each with the name of its agent"
