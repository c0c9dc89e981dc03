"""A fleet at work: real agents with the models of the demo, and a centre that gives out jobs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from cloud_agent.center.app import Center
from cloud_agent.center.rounds.settings import RoundSettings
from cloud_agent.center.settings import CenterPart, WebSettings
from cloud_agent.center.web.server import page
from device_agent import Device
from shared.agent.run import serving
from shared.agent.settings import TierSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import Quantile
from shared.nodes.settings import NodeSettings
from shared.runtimes import ModelSettings
from shared.telemetry.metrics import Metrics
from tests.support.cascades import cloud_settings, device_settings, edge_settings
from tests.support.job_rounds import BUNDLES, REMARKS, write_jobs, write_measured
from tests.support.processes import ROOT
from tests.support.shipped import SIGNER, SITE
from tests.support.wires import CONNECT_S, Wire, eventually, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.bus import Bus, Message

_HALF = Quantile(beta=0.5)
_CLOUD = ROOT / "models/bundles/sentiment-cloud"


class Onlooker:
    """Hears what agents and the centre say, as anybody with the rights could."""

    def __init__(self, bus: Bus, root: str) -> None:
        self.told: dict[str, Any] = {}
        """The last word on each topic below the root."""
        self.explained: dict[str, dict[str, Any]] = {}
        """By prompt, what its device told of it last."""
        self._bus = bus
        self._base = f"{root}/v1/"

    async def listen(self) -> None:
        for topics in ("control/#", "placement/#", "status/#"):
            await self._bus.subscribe(self._base + topics, self._hear)

    def control(self, kind: str) -> dict[str, Any]:
        """Return the last words of a kind, by agent."""
        ending = f"/{kind}"
        return {
            topic.split("/")[1]: word
            for topic, word in self.told.items()
            if topic.startswith("control/") and topic.endswith(ending)
        }

    def _hear(self, message: Message) -> None:
        self._bus.acknowledge(message)
        topic = message.topic.removeprefix(self._base)
        word: Any = json.loads(message.payload) if message.payload else None
        self.told[topic] = word
        if topic.endswith("/explained"):
            for prompt in word["prompts"]:
                self.explained[prompt["id"]] = prompt | {"device": topic.split("/")[1]}


class WorkingFleet:
    """Agents on a wire, their centre and its page."""

    def __init__(self, wire: Wire, folder: Path, center: Center, url: str) -> None:
        self.wire, self.folder, self.center, self.url = wire, folder, center, url
        self.devices: list[Device] = []
        self.onlooker = Onlooker(wire.bus("onlooker"), wire.root)

    async def ask(self, prompts: int) -> None:
        """Ask every device so many remarks, one after another, each said differently."""
        remarks = itertools.cycle(text for text, _ in REMARKS)
        for number in range(prompts):
            text = f"{next(remarks)}, item {number}"
            await asyncio.gather(*(device.ask(text) for device in self.devices))


@contextlib.asynccontextmanager
async def working_fleet(
    wire: Wire,
    folder: Path,
    *,
    devices: dict[str, NodeSettings] | None = None,
    **rounds: Any,
) -> AsyncIterator[WorkingFleet]:
    """Run two edges and a cloud agent below a centre, and devices of these settings by name."""
    key = folder / "models.pub"
    key.write_bytes(SIGNER.public)
    given: dict[str, Any] = {"every_s": 0.1, "batch": 4, "task_rounds_per_placement": 3, **rounds}
    part = CenterPart(
        state=str(folder / "center"),
        site=SITE,
        authority=str(key),
        web=WebSettings(port=0),
        telemetry_s=0.2,
        lease_s=30.0,
        rounds=RoundSettings(
            jobs=str(write_jobs(folder / "jobs.jsonl")),
            catalogue=str(write_measured(folder / "catalogue.json")),
            **given,
        ),
    )

    def taking(name: str, source: Path) -> dict[str, Any]:
        return {
            "model": ModelSettings(source=str(source)),
            "state": str(folder / name),
            "node": NodeSettings(authority=str(key), site=SITE, reserve_megabytes=0),
        }

    above = [
        edge_settings(wire, "edge-1", tier=_tier("edge", "cloud"),
                      **taking("edge-1", BUNDLES["edge"])),
        edge_settings(wire, "edge-2", tier=_tier("edge", "cloud"),
                      **taking("edge-2", BUNDLES["device"])),
        cloud_settings(wire, "cloud-1", **taking("cloud-1", _CLOUD)),
    ]  # fmt: skip
    mqtt = MqttSettings(root=wire.root)
    async with contextlib.AsyncExitStack() as stack:
        center = await stack.enter_async_context(Center.open(part, mqtt, wire.bus))
        url = await stack.enter_async_context(page(center))
        fleet = WorkingFleet(wire, folder, center, url)
        await settled(fleet.onlooker._bus)
        await fleet.onlooker.listen()
        for settings in above:
            serve = serving(settings, connect=wire.connect, metrics=Metrics())
            parts = await stack.enter_async_context(serve)
            await parts.bus.wait_connected(CONNECT_S)
        for name, node in (devices or {}).items():
            settings = device_settings(
                wire,
                name,
                tier=_tier("device", "edge"),
                model=ModelSettings(source=str(BUNDLES["device"])),
                node=node,
            )
            opened = Device.open(settings, connect=wire.connect, metrics=Metrics())
            fleet.devices.append(await stack.enter_async_context(opened))
        wanted = {*(each.agent for each in above), *(devices or {})}
        await eventually(
            lambda: {m.name for m in center.registry if m.telemetry is not None} == wanted,
            "telemetry of everybody",
        )
        yield fleet


def _tier(name: str, upstream: str) -> TierSettings:
    return TierSettings(name=name, policy=_HALF, upstream=upstream)
