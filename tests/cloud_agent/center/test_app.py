"""A centre hears real agents, and one that comes late knows as much from retained words alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloud_agent.center.app import Center
from cloud_agent.center.settings import CenterPart
from shared.bus.mqtt.settings import MqttSettings
from shared.nodes.settings import NodeSettings
from shared.wire.control import CenterWord, decode_word
from tests.support.cascades import EASY, cascade
from tests.support.wires import Inbox, MqttWire, Wire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cloud_agent.center.registry.members import FleetMember
    from tests.support.cascades import Cascade


@contextlib.asynccontextmanager
async def centre(wire: Wire, folder: Path, name: str = "center") -> AsyncIterator[Center]:
    part = CenterPart(name=name, state=str(folder / name), telemetry_s=0.1, lease_s=2.0)
    mqtt = MqttSettings(root=wire.root)
    async with Center.open(part, mqtt, wire.bus) as center:
        yield center


@contextlib.asynccontextmanager
async def three_tiers(wire: Wire) -> AsyncIterator[Cascade]:
    async with cascade(wire) as tiers:
        await tiers.cloud()
        await tiers.edge()
        await tiers.device()
        yield tiers


def known(center: Center, name: str) -> FleetMember:
    member = center.registry.find(name)
    assert member is not None
    return member


def lives(center: Center, name: str) -> list[str]:
    """What the centre held an agent for, one after the other."""
    return [
        event.data["life"]
        for event in center.events.after(0)
        if (event.kind, event.agent) == ("life", name)
    ]


async def test_a_centre_hears_who_is_there_what_they_are_and_what_they_count(
    wire: Wire, tmp_path: Path
) -> None:
    async with three_tiers(wire) as tiers, centre(wire, tmp_path) as center:
        await eventually(lambda: len(center.registry) == 3, "three agents")
        await tiers.devices["device-1"].ask(EASY)
        await eventually(
            lambda: all(m.life == "alive" and m.report and m.telemetry for m in center.registry),
            "all of them alive, with report and telemetry",
        )
        await eventually(
            lambda: (t := known(center, "device-1").telemetry) is not None and t.kept >= 1,
            "the prompt that was kept",
        )
        member = known(center, "cloud-1")
        assert member.report is not None
        assert (member.tier, member.report.tier) == ("cloud", "cloud")
        assert [bundle.in_use for bundle in member.report.bundles] == [True]
        assert member.status is not None
        assert member.report.boot == member.status.boot


async def test_a_centre_that_comes_late_knows_the_fleet_from_retained_words_alone(
    wire: Wire,
    tmp_path: Path,
) -> None:
    async with three_tiers(wire), centre(wire, tmp_path) as first:
        await eventually(lambda: len(first.registry) == 3 and all(m.report for m in first.registry))
        async with centre(wire, tmp_path, "center-2") as late:
            await eventually(
                lambda: len(late.registry) == 3 and all(m.report for m in late.registry)
            )
            for member in first.registry:
                again = known(late, member.name)
                assert (again.report, again.tier) == (member.report, member.tier)


async def test_an_agent_that_is_killed_is_dead_by_its_will_and_one_that_returns_lives(
    mosquitto: MqttWire,
    tmp_path: Path,
) -> None:
    async with centre(mosquitto, tmp_path) as center, three_tiers(mosquitto) as tiers:
        await eventually(lambda: len(center.registry) == 3)
        await eventually(lambda: known(center, "cloud-1").life == "alive")
        mosquitto.cut(tiers.parts["cloud-1"].bus)
        await eventually(lambda: lives(center, "cloud-1")[-2:] == ["dead", "alive"], "its return")


async def test_agents_count_for_a_centre_only_while_one_is_there(
    wire: Wire, tmp_path: Path
) -> None:
    watcher = await settled(wire.bus("watcher"))
    inbox = Inbox(watcher)
    await watcher.subscribe(f"{wire.root}/v1/control/+/telemetry", inbox.take)
    async with three_tiers(wire):
        async with centre(wire, tmp_path):
            await inbox.next()
        last = Inbox(watcher)
        await watcher.subscribe(f"{wire.root}/v1/center", last.take)
        await eventually(
            lambda: any(
                decode_word(CenterWord, payload).state == "offline" for payload in last.payloads
            )
        )
        quiet = len(inbox.messages)
        await watcher.publish(f"{wire.root}/v1/control/end/telemetry", b"{}")
        await eventually(lambda: inbox.messages[-1].topic.endswith("/end/telemetry"))
        assert len(inbox.messages) - quiet < 10


async def test_an_agent_may_be_left_out(wire: Wire, tmp_path: Path) -> None:
    async with cascade(wire) as tiers, centre(wire, tmp_path) as center:
        await tiers.cloud(node=NodeSettings(report=False))
        await tiers.edge()
        await eventually(lambda: len(center.registry) == 2)
        await eventually(lambda: known(center, "edge-1").report is not None)
        assert known(center, "cloud-1").report is None
