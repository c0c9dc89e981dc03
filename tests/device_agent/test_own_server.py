"""A device whose model runs at a server of its own: Ollama's or llama.cpp's on the same board."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from device_agent import Device
from shared.agent.run import serving
from shared.agent.settings import TierSettings
from shared.messages import Failure
from shared.tasks.generate import Completion
from shared.telemetry.metrics import Metrics
from tests.support.cascades import device_settings, edge_settings
from tests.support.fakes import SteppingModel
from tests.support.llama_server import llama_server
from tests.support.rude_server import completion, http, refusal, rude_server
from tests.support.server_models import named
from tests.support.wires import CONNECT_S, MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from device_agent.settings import DeviceSettings
    from shared.messages import Result
    from tests.support.rude_server import Asked

pytest.importorskip("httpx2")


async def test_a_device_asks_its_own_server_and_says_so_when_that_is_gone(tmp_path: Path) -> None:
    wire = MemoryWire()
    with llama_server(tmp_path) as llama:
        settings = device_settings(wire, model=named(llama.url, in_flight=2))
        async with Device.open(settings, connect=wire.connect, metrics=Metrics()) as device:
            written = await device.ask("the valve sticks", task="generate")
            llama.kill()
            gone = await device.ask("the valve sticks", task="generate", timeout_s=20)

    assert isinstance(written.outcome, Completion)
    assert (written.tier, 0 < written.confidence < 0.5) == ("device", True)
    assert isinstance(gone.outcome, Failure)
    assert gone.outcome.code == "busy"
    assert "the model's server cannot be reached" in gone.outcome.reason


class Outage:
    """A server that answers, until it is told not to."""

    away = False

    def __call__(self, asked: Asked, number: int) -> bytes:
        if self.away:
            return http("503 Later", refusal("no room"))
        return http("200 OK", completion("my own words", -0.01))


@contextlib.asynccontextmanager
async def below_an_edge(settings: DeviceSettings, wire: MemoryWire) -> AsyncIterator[Device]:
    """A device with these settings, and an edge agent that writes."""
    edge = edge_settings(wire, tier=TierSettings(name="edge"))
    above = serving(edge, model=SteppingModel(), connect=wire.connect, metrics=Metrics())
    opened = Device.open(settings, connect=wire.connect, metrics=Metrics())
    async with above as parts, opened as device:
        await parts.bus.wait_connected(CONNECT_S)
        roster = device.parts.station.above.choice.rosters[0]
        await eventually(lambda: bool(roster.alive("generate", time.monotonic())), "the edge")
        yield device


async def test_what_the_own_server_cannot_take_goes_up_at_once_and_no_policy_learns_of_it(
    tmp_path: Path,
) -> None:
    wire, outage = MemoryWire(), Outage()
    tier = TierSettings(name="device", upstream="edge")
    with rude_server(outage) as server:
        model = named(server.url)
        settings = device_settings(wire, model=model, tier=tier, state=str(tmp_path))
        async with below_an_edge(settings, wire) as device:
            own = await device.ask("mine", task="generate")
            outage.away, tried = True, len(server.asked)
            results = [
                await device.ask(f"text {number}", task="generate", timeout_s=20)
                for number in range(8)
            ]
            tried = len(server.asked) - tried
            seen = device.parts.station.tier.changes

    assert own.tier == "device"
    assert [text_in(result) for result in results] == [f"text {n}" for n in range(8)]
    assert {(result.tier, result.degraded) for result in results} == {("edge", "")}
    assert [hop.tier for hop in results[0].hops] == ["device", "edge"]
    assert tried < 8, "whoever says that it takes nothing is left alone for a while"
    assert seen == 1, "the policy saw what was scored here"


async def test_where_nobody_is_above_either_both_reasons_are_told() -> None:
    wire, outage = MemoryWire(), Outage()
    tier = TierSettings(name="device", upstream="edge")
    with rude_server(outage) as server:
        settings = device_settings(wire, model=named(server.url), tier=tier)
        async with Device.open(settings, connect=wire.connect, metrics=Metrics()) as device:
            outage.away = True
            result = await device.ask("mine", task="generate", timeout_s=20)

    assert isinstance(result.outcome, Failure)
    assert result.outcome.code == "busy"
    assert "the model's server" in result.outcome.reason
    assert result.outcome.reason.endswith("; no agent above is alive")


def text_in(result: Result) -> str:
    assert isinstance(result.outcome, Completion), result
    return result.outcome.text
