"""Every member tries everything on a real broker: what the table allows happens, nothing else.

The table below is written by hand, so that a slip in ``broker.access`` cannot hide itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from shared.bus import Will
from shared.errors import BusError, Refused
from shared.wire.filters import split_pool
from tests.support.sites import SEER, SecuredSite, connect, say
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from shared.bus import Message
    from shared.bus.mqtt.connection import MqttConnection

T = "recserve/v1"
CONTROL = ("report", "state", "telemetry", "explained", "desired", "whatever")


def node(name: str) -> tuple[str, ...]:
    """What every agent says to the centre."""
    kinds = ("report", "state", "telemetry")
    return (*(f"{T}/control/{name}/{kind}" for kind in kinds), f"{T}/models/ask/{name}")


def told(name: str) -> tuple[str, ...]:
    """What every agent hears of it."""
    return (
        f"{T}/control/{name}/desired",
        f"{T}/center",
        f"{T}/models/manifest/+",
        f"{T}/models/data/+",
    )


PUBLISHES = {
    "device-1": (
        *node("device-1"),
        f"{T}/control/device-1/explained",
        f"{T}/prompts/+/+/device-1",
        f"{T}/status/device/device-1",
        f"{T}/answers/device-1",
        f"{T}/answers/device-1/+",
    ),
    "edge-1": (
        *node("edge-1"),
        f"{T}/prompts/cloud-1/+/edge-1",
        f"{T}/prompts/sky/+/edge-1",
        f"{T}/prompts/cloud-1/+/+/edge-1",
        f"{T}/prompts/sky/+/+/edge-1",
        f"{T}/results/+",
        f"{T}/status/edge/edge-1",
        f"{T}/answers/edge-1",
        f"{T}/memory/edge-1/answers",
        f"{T}/memory/edge-1/offers",
        f"{T}/nights/edge-1/cloud-1/+",
    ),
    "edge-2": (
        *node("edge-2"),
        f"{T}/prompts/cloud-1/+/edge-2",
        f"{T}/prompts/sky/+/edge-2",
        f"{T}/prompts/cloud-1/+/+/edge-2",
        f"{T}/prompts/sky/+/+/edge-2",
        f"{T}/results/+",
        f"{T}/status/edge/edge-2",
        f"{T}/answers/edge-2",
        f"{T}/memory/edge-2/answers",
        f"{T}/memory/edge-2/offers",
        f"{T}/nights/edge-2/cloud-1/+",
    ),
    "cloud-1": (
        *node("cloud-1"),
        f"{T}/results/+",
        f"{T}/status/cloud/cloud-1",
        f"{T}/answers/cloud-1",
        f"{T}/nights/cloud-1/+/+",
    ),
    "center": (
        f"{T}/center",
        f"{T}/prompts/+/+/center",
        f"{T}/placement/plan",
        f"{T}/placement/round",
        f"{T}/control/+/desired",
        f"{T}/models/manifest/+",
        f"{T}/models/data/+",
        f"{T}/answers/center",
    ),
    "alice": (f"{T}/ask/device-1", f"{T}/answers/alice"),
    "operator": (
        f"{T}/ask/+",
        f"{T}/answers/operator",
        f"{T}/memory/+/ask",
        f"{T}/memory/epoch",
    ),
}
READS = {
    "device-1": (
        *told("device-1"),
        f"{T}/results/device-1",
        f"{T}/ask/device-1",
        f"{T}/status/device/device-1",
        f"{T}/status/edge/+",
        f"{T}/status/cloud/+",
        f"{T}/answers/device-1",
    ),
    "edge-1": (
        *told("edge-1"),
        f"{T}/prompts/edge-1/#",
        f"$share/north/{T}/prompts/north/#",
        f"{T}/results/edge-1",
        f"{T}/status/edge/edge-1",
        f"{T}/status/cloud/+",
        f"{T}/answers/edge-1",
        f"{T}/memory/edge-1/ask",
        f"{T}/memory/epoch",
        f"{T}/memory/+/offers",
        f"{T}/nights/+/edge-1/+",
    ),
    "edge-2": (
        *told("edge-2"),
        f"{T}/prompts/edge-2/#",
        f"{T}/results/edge-2",
        f"{T}/status/edge/edge-2",
        f"{T}/status/cloud/+",
        f"{T}/answers/edge-2",
        f"{T}/memory/edge-2/ask",
        f"{T}/memory/epoch",
        f"{T}/memory/+/offers",
        f"{T}/nights/+/edge-2/+",
    ),
    "cloud-1": (
        *told("cloud-1"),
        f"{T}/prompts/cloud-1/#",
        f"$share/sky/{T}/prompts/sky/#",
        f"{T}/status/cloud/cloud-1",
        f"{T}/answers/cloud-1",
        f"{T}/nights/+/cloud-1/+",
    ),
    "alice": (f"{T}/answers/device-1", f"{T}/answers/device-1/alice", f"{T}/answers/alice"),
    "center": (
        f"{T}/status/#",
        f"{T}/results/center",
        f"{T}/center",
        *(f"{T}/control/+/{kind}" for kind in CONTROL[:-1]),
        f"{T}/models/manifest/+",
        f"{T}/models/ask/+",
        f"{T}/answers/center",
    ),
    "operator": (
        f"{T}/status/#",
        f"{T}/answers/+",
        f"{T}/answers/+/operator",
        f"{T}/control/+/report",
        f"{T}/control/+/state",
        f"{T}/models/manifest/+",
        f"{T}/memory/+/answers",
        f"{T}/memory/epoch",
        f"{T}/center",
        f"{T}/placement/plan",
        f"{T}/placement/round",
    ),
}

NAMES = (
    *("device-1", "device-2", "edge-1", "edge-2", "cloud-1"),
    *("center", "alice", "operator", "nobody"),
)
MEMORY = ("ask", "answers", "offers", "whatever")
TIERS = ("device", "edge", "cloud", "attic")
TOPICS = (
    *(
        f"{T}/prompts/{agent}/{task}/{origin}"
        for agent in (*NAMES, "north", "sky")
        for task in ("classify", "sing")
        for origin in ("device-1", "device-2", "edge-1", "center", "nobody")
    ),
    *(
        f"{T}/prompts/{agent}/classify/{origin}/{sender}"
        for agent in ("device-2", "edge-1", "edge-2", "cloud-1", "north", "sky", "nobody")
        for origin in ("device-1", "edge-1", "nobody")
        for sender in ("device-1", "device-2", "edge-1", "edge-2", "cloud-1", "nobody")
    ),
    f"{T}/prompts/cloud-1/classify/device-1/edge-1/edge-1",
    *(f"{T}/results/{name}" for name in NAMES),
    *(f"{T}/ask/{name}" for name in NAMES),
    *(f"{T}/answers/{name}" for name in NAMES),
    *(f"{T}/answers/{name}/{asker}" for name in NAMES for asker in ("alice", "operator", "nobody")),
    *(f"{T}/status/{tier}/{name}" for tier in TIERS for name in NAMES),
    *(f"{T}/control/{name}/{kind}" for name in NAMES for kind in CONTROL),
    *(f"{T}/models/{kind}/{name}" for kind in ("ask", "data", "manifest") for name in NAMES),
    *(f"{T}/placement/{kind}" for kind in ("plan", "round", "whatever")),
    *(f"{T}/memory/{name}/{kind}" for name in NAMES for kind in MEMORY),
    f"{T}/memory/epoch",
    *(
        f"{T}/nights/{writer}/{reader}/{kind}"
        for writer in ("device-1", "edge-1", "edge-2", "cloud-1", "nobody")
        for reader in ("device-2", "edge-1", "edge-2", "cloud-1", "center")
        for kind in ("lesson", "a" * 64)
    ),
    *(
        f"{T}/center",
        f"{T}/center/deeper",
        f"{T}/control/x",
        f"{T}/models/x",
        "recserve",
        T,
        f"{T}/results",
        "elsewhere",
    ),
    *(f"{T}/results/device-1/deeper", "recserve/v2/results/device-1", "v1/results/device-1"),
    *(f"other/v1/prompts/edge-1/classify/{name}" for name in ("device-1", "device-2")),
    "$SYS/broker/uptime",
    "$CONTROL/dynamic-security/v1",
)
"""Everything that anybody could want to publish on."""
WILD = (
    *("#", "+", "+/#", "+/+/#", "/#", "recserve/#", f"{T}/#", f"+/v1/results/{NAMES[0]}"),
    *(f"{T}/{kind}/#" for kind in ("prompts", "results", "status", "ask", "answers")),
    *(f"{T}/{kind}/+" for kind in ("results", "status", "ask", "answers", "+")),
    *(f"{T}/+/{name}" for name in NAMES),
    *(f"{T}/{kind}/{name}/#" for kind in ("prompts", "results", "ask") for name in NAMES),
    *(f"{T}/{kind}/#" for kind in ("control", "models", "center", "placement", "memory")),
    *(f"{T}/memory/+/{kind}" for kind in ("ask", "answers", "#")),
    *(f"{T}/nights/{rest}" for rest in ("#", "+/#", "+/+/+", "+/+/lesson")),
    *(
        f"{T}/nights/{pair}/{rest}"
        for pair in ("edge-1/cloud-1", "+/cloud-1", "edge-1/+", "cloud-1/edge-2", "+/edge-2")
        for rest in ("taught", "+", "#")
    ),
    *(f"{T}/control/{name}/{kind}" for name in (*NAMES, "+") for kind in ("+", "#")),
    *(f"{T}/control/+/{kind}" for kind in CONTROL),
    *(f"{T}/models/{kind}/+" for kind in ("ask", "data", "manifest", "+")),
    *(f"{T}/prompts/{name}/+/+" for name in (*NAMES, "north", "sky", "+")),
    *(f"{T}/prompts/+/+/{rest}" for name in NAMES for rest in (name, f"+/{name}")),
    *(f"{T}/prompts/{name}/classify/+" for name in NAMES),
    *(f"{T}/status/{tier}/{rest}" for tier in (*TIERS, "+") for rest in ("+", "#", "edge-1")),
    *("$SYS/#", "$SYS/broker/+", "$CONTROL/#", "$CONTROL/dynamic-security/#"),
)
SHARED = (
    *(f"$share/{group}/{filter_}" for group in ("north", "sky", "spy") for filter_ in WILD),
    *(f"$share/{group}/{T}/results/{name}" for group in ("north", "spy") for name in NAMES),
)
FILTERS = (*TOPICS, *WILD, *SHARED)
"""Everything that anybody could want to listen to."""


def covers(allowed: str, wanted: str) -> bool:
    """Say whether a filter or topic asks for nothing beyond an allowed filter."""
    have, want = allowed.split("/"), wanted.split("/")
    if have[-1] == "#":
        have, want = have[:-1], want[: len(have) - 1]
    pairs = zip(have, want, strict=False)
    return len(have) == len(want) and all(h == w or (h == "+" and w != "#") for h, w in pairs)


@pytest.mark.parametrize("version", [5, 4], ids=["mqtt 5", "mqtt 3.1.1"])
@pytest.mark.parametrize("name", PUBLISHES)
async def test_what_a_member_says_arrives_if_and_only_if_it_may_say_it(
    site: SecuredSite, name: str, version: int
) -> None:
    # given
    allowed = {t for t in TOPICS if any(covers(a, t) for a in PUBLISHES[name])}
    assert 0 < len(allowed) < len(TOPICS)
    arrived: list[str] = []
    refused = set()
    async with (
        site.connected(SEER, lambda message: arrived.append(message.topic)) as seer,
        site.connected(name, version=version) as member,
    ):
        await seer.subscribe("#")
        await seer.subscribe("$CONTROL/#")
        arrived.clear()
        # when
        for topic in TOPICS:
            if await is_refused(say(member, topic, name.encode())):
                refused.add(topic)
        await say(seer, "the/end")
        await eventually(lambda: "the/end" in arrived, "the end")
    # then
    assert sorted(arrived[:-1]) == sorted(allowed)
    if version == 5:  # MQTT 3.1.1 has no word for it
        assert refused == set(TOPICS) - allowed


@pytest.mark.parametrize("name", READS)
async def test_a_member_hears_what_it_may_and_nothing_through_any_other_subscription(
    site: SecuredSite, name: str
) -> None:
    # given
    own = READS[name]
    audible = {t for t in TOPICS if any(covers(split_pool(a)[1], t) for a in own)}
    agreeable = [f for f in (*FILTERS, *own) if any(covers(a, f) for a in own)]
    forbidden = [f for f in FILTERS if f not in agreeable]
    assert audible
    assert len(forbidden) > len(agreeable)
    heard: list[str] = []
    echo = f"{T}/answers/{name}"

    async def everything_is_said(seer: MqttConnection, member: MqttConnection) -> None:
        for topic in TOPICS:
            await is_refused(say(seer, topic))  # some are the broker's own
        heard.append("all said")
        await member.subscribe(echo)
        await say(member, echo)
        await eventually(lambda: heard[-1] == echo, "its own echo, after all that came before")

    async with (
        site.connected(SEER) as seer,
        site.connected(name, lambda message: heard.append(message.topic)) as member,
    ):
        # when it only tries what it may not
        for filter_ in forbidden:
            assert await is_refused(member.subscribe(filter_)), filter_
        await everything_is_said(seer, member)
        # then
        assert heard == ["all said", echo]
        # when it tries the rest, too
        for filter_ in agreeable:
            await member.subscribe(filter_)
        await everything_is_said(seer, member)
        # then
        assert set(heard) == audible | {"all said"}


async def test_a_retained_status_in_anothers_name_reaches_nobody(site: SecuredSite) -> None:
    forged, own = f"{T}/status/edge/edge-1", f"{T}/status/edge/edge-2"
    heard: dict[str, bytes] = {}
    async with site.connected("edge-2") as edge, site.connected("device-2") as device:
        for member, topic in itertools.product(
            (edge, device), (forged, f"{T}/status/cloud/edge-2")
        ):
            with pytest.raises(Refused):
                await say(member, topic, b"forged", retain=True)
        await say(edge, own, b"mine", retain=True)
    async with site.connected(
        "device-1", lambda message: heard.__setitem__(message.topic, message.payload)
    ) as late:
        await late.subscribe(f"{T}/status/edge/+")
        await eventually(lambda: own in heard, "the genuine status")
        await asyncio.sleep(0.05)
    async with site.connected("edge-2") as edge:
        await say(edge, own, b"", retain=True)
    assert heard == {own: b"mine"}


@pytest.mark.parametrize("version", [5, 4], ids=["mqtt 5", "mqtt 3.1.1"])
async def test_a_will_in_anothers_name_is_never_carried_out(
    site: SecuredSite, version: int
) -> None:
    heard: list[Message] = []
    async with site.connected(SEER, heard.append) as seer:
        await seer.subscribe(f"{T}/status/+/+")
        with contextlib.suppress(BusError):  # later brokers refuse the connection at once
            will = Will(f"{T}/status/device/device-1", b"gone")
            liar = await connect(site.settings("device-2"), will=will, version=version)
            liar.abandon()
        will = Will(f"{T}/status/device/device-2", b"gone")
        honest = await connect(site.settings("device-2"), will=will, version=version)
        honest.abandon()
        await eventually(lambda: any(not m.retained for m in heard), "the honest will")
        await asyncio.sleep(0.05)
        await say(seer, f"{T}/status/device/device-2", b"", retain=True)
    fresh = {message.topic for message in heard if not message.retained}
    assert fresh == {f"{T}/status/device/device-2"}


async def test_nobody_takes_over_a_session_by_its_client_id(site: SecuredSite) -> None:
    async with (
        site.connected("device-1") as victim,
        site.connected("device-2", client_id="device-1") as thief,
    ):
        await say(victim, f"{T}/answers/device-1")
        await say(thief, f"{T}/answers/device-2")
        with pytest.raises(Refused):
            await say(thief, f"{T}/answers/device-1")
        assert not victim.lost.done()


async def is_refused(trying: Coroutine[Any, Any, None]) -> bool:
    """Try it, and say whether the broker would not have it."""
    try:
        await trying
    except Refused:
        return True
    return False
