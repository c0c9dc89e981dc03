"""Three tiers inside this process, each a real agent on a wire, with models that a test rules."""

from __future__ import annotations

import contextlib
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from device_agent import Device
from device_agent.settings import DeviceSettings
from shared.agent.run import serving
from shared.agent.settings import AgentSettings, LimitSettings, TierSettings, UpstreamSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import Observation, Quantile
from shared.runtimes import ModelSettings
from shared.telemetry.metrics import Metrics
from tests.support.fakes import LookupModel
from tests.support.wires import CONNECT_S, Wire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from shared.agent.build import AgentParts

    Running = Callable[..., AbstractAsyncContextManager[AgentParts]]

SURE, UNSURE = 1.0, 0.5
EASY, HARD, HARDEST = "easy", "hard", "hardest"
MODEL = ModelSettings(source="looked-up")
HASTY = UpstreamSettings(patience_s=0.3, retry_min_s=0.2, retry_max_s=0.4)
# The most sure prompt so far stays, all others go up: every test knows where a prompt goes.
STRICT = Quantile(beta=1.0)


def device_settings(wire: Wire, name: str = "device-1", **changes: Any) -> DeviceSettings:
    tier = TierSettings(name="device", policy=STRICT, upstream="edge")
    settings = DeviceSettings(
        agent=name,
        tier=tier,
        model=MODEL,
        mqtt=MqttSettings(root=wire.root),
        upstream=HASTY,
        limits=LimitSettings(timeout_s=10, drain_s=1),
    )
    return msgspec.structs.replace(settings, **changes)


def edge_settings(wire: Wire, name: str = "edge-1", **changes: Any) -> AgentSettings:
    tier = TierSettings(name="edge", policy=STRICT, upstream="cloud")
    return _upper(wire, name, tier, changes)


def cloud_settings(wire: Wire, name: str = "cloud-1", **changes: Any) -> AgentSettings:
    return _upper(wire, name, TierSettings(name="cloud", policy=STRICT), changes)


def _upper(wire: Wire, name: str, tier: TierSettings, changes: dict[str, Any]) -> AgentSettings:
    settings = AgentSettings(
        agent=name,
        tier=tier,
        model=MODEL,
        mqtt=MqttSettings(root=wire.root),
        upstream=HASTY,
        heartbeat_s=0.5,
        limits=LimitSettings(drain_s=1),
    )
    return msgspec.structs.replace(settings, **changes)


class Cascade:
    """Agents on one wire; every tier is warmed up, so that only a sure prompt stays."""

    def __init__(self, wire: Wire, stack: AsyncExitStack) -> None:
        self.wire = wire
        self.models: dict[str, LookupModel] = {}
        self.parts: dict[str, AgentParts] = {}
        self.devices: dict[str, Device] = {}
        self._stack = stack

    async def device(self, *, knows_above: bool = True, **changes: Any) -> Device:
        """Start a device that is unsure of everything but what is easy."""
        settings = device_settings(self.wire, **changes)
        model = self._model(settings.agent, {EASY: SURE})
        opened = Device.open(settings, model=model, connect=self.wire.connect, metrics=Metrics())
        device = await self._stack.enter_async_context(opened)
        self.parts[settings.agent] = device.parts
        self.devices[settings.agent] = device
        assert (await device.ask(EASY)).tier == "device"
        if knows_above:
            await self.sees(device, *(name for name in self.parts if name.startswith("edge")))
        return device

    async def edge(
        self, name: str = "edge-1", *, running: Running = serving, **changes: Any
    ) -> LookupModel:
        """Start an edge agent that is sure of what is hard; return its model."""
        settings = edge_settings(self.wire, name, **changes)
        return await self._serve(settings, {HARD: SURE}, running)

    async def cloud(self, name: str = "cloud-1", **changes: Any) -> LookupModel:
        """Start a cloud agent; return its model."""
        return await self._serve(cloud_settings(self.wire, name, **changes), {})

    async def sees(self, device: Device, *agents: str) -> None:
        """Return once the device is connected and knows of these agents."""
        if not agents:
            return
        await device.parts.bus.wait_connected(CONNECT_S)
        dispatcher = device.parts.station.dispatcher
        assert dispatcher is not None
        roster = dispatcher.choice.rosters[0]
        await eventually(
            lambda: set(agents) <= set(roster.alive("classify", time.monotonic())),
            f"seeing {agents}",
        )

    def kill(self, name: str) -> None:
        """End an agent as kill -9 would."""
        self.wire.kill(self.parts[name].bus)

    async def _serve(
        self, settings: AgentSettings, confidences: dict[str, float], running: Running = serving
    ) -> LookupModel:
        model = self._model(settings.agent, confidences)
        serve = running(settings, model=model, connect=self.wire.connect, metrics=Metrics())
        parts = self.parts[settings.agent] = await self._stack.enter_async_context(serve)
        await parts.bus.wait_connected(CONNECT_S)
        # One sure prompt in the window, without a message for it.
        parts.station.tier.route("classify", Observation(SURE, time.monotonic(), prompt_bytes=4))
        return model

    def _model(self, name: str, confidences: dict[str, float]) -> LookupModel:
        model = self.models[name] = LookupModel(name, confidences, otherwise=UNSURE)
        return model


@contextlib.asynccontextmanager
async def cascade(wire: Wire, *, release: bool = True) -> AsyncIterator[Cascade]:
    """Nothing runs yet; whatever is started ends with the context, the last one first.

    Models that a test held are released first, unless it does so itself.
    """
    async with AsyncExitStack() as stack:
        tiers = Cascade(wire, stack)
        try:
            yield tiers
        finally:
            for model in tiers.models.values() if release else ():
                model.release()
