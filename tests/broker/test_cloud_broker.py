"""An edge agent on a cloud's secured broker that knows none of its devices: as a device there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from shared.bus.mqtt.bus import MqttBus
from shared.membership.status import Status
from shared.messages import Hop, Prompt, Result
from shared.serving.dispatcher import Dispatcher
from shared.tasks.classify import Label
from shared.telemetry.metrics import Metrics
from shared.wire.codec import decode_prompt, decode_result, encode_result
from shared.wire.topics import Topics
from tests.support.sites import say
from tests.support.wires import Inbox, eventually, settled

if TYPE_CHECKING:
    from shared.bus import Message
    from tests.support.sites import SecuredSite

GATEWAY = "device-1"
"""The name by which the cloud's site knows the edge agent."""
TOPICS = Topics()


async def test_prompts_of_unknown_devices_go_up_in_the_edges_name_and_results_come_to_it(
    certificate_site: SecuredSite,
) -> None:
    came: list[Message] = []
    bus = await settled(MqttBus(certificate_site.settings(GATEWAY), GATEWAY))
    results = Inbox(bus)
    await bus.subscribe(TOPICS.results(GATEWAY), results.take)
    dispatcher = Dispatcher(bus, TOPICS, Metrics(), tier="edge", above=("cloud",), origin=GATEWAY)
    await dispatcher.start()
    hops = (Hop("device", "pump", 0.4, 0.5, 10), Hop("edge", GATEWAY, 0.5, 0.6, 20))
    deadline_s = time.monotonic() + 30
    prompt = Prompt(uuid4(), "pump", "classify", "hard", deadline_s, hops, copy=True)
    async with certificate_site.connected("cloud-1", came.append) as cloud:
        await cloud.subscribe(TOPICS.prompts("cloud-1"))
        alive = msgspec.json.encode(Status("online", 1, ("classify",)))
        await say(cloud, TOPICS.status("cloud", "cloud-1"), alive, retain=True)
        roster = dispatcher.choice.rosters[0]
        await eventually(lambda: bool(roster.alive("classify", time.monotonic())), "the cloud")

        chosen = await dispatcher.send(prompt, 1)
        assert chosen is not None
        assert chosen.agent == "cloud-1"

        await eventually(lambda: bool(came), "the prompt")
        address = TOPICS.read_prompt(came[0].topic)
        read = decode_prompt(came[0].payload, address, now_s=0.0)
        assert (read.origin, read.sender, read.hops) == (GATEWAY, GATEWAY, hops)
        answer = Result(read.id, Label("good"), (*read.hops, Hop("cloud", "cloud-1", 1, 0, 30)))
        await say(cloud, TOPICS.results(read.origin), encode_result(answer, known_hops=0))
        assert decode_result((await results.next()).payload) == answer
        await say(cloud, TOPICS.status("cloud", "cloud-1"), b"", retain=True)
    await bus.close()
