"""Agents are put together whole or not at all, and leave nothing running behind them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from experiments.testbed.processes import free_port
from shared.agent.build import AgentParts, build_agent
from shared.agent.run import run_agent, serving
from shared.agent.settings import TierSettings
from shared.bus.mqtt.settings import MqttSettings
from shared.cascade.policies import Quantile, RecallRule
from shared.errors import BundleError, SettingsError
from shared.membership.status import decode_status
from shared.runtimes import ModelSettings
from shared.runtimes.chat_requests import Manners
from shared.serving.batcher import Batcher
from shared.serving.caller import Caller
from shared.telemetry.metrics import MetricsSettings
from tests.support.cascades import cloud_settings, device_settings, edge_settings
from tests.support.fakes import LookupModel
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from shared.agent.settings import AgentSettings


def test_only_tiers_with_something_above_them_can_dispatch() -> None:
    wire, model = MemoryWire(), LookupModel()

    def parts(settings: object) -> AgentParts:
        return build_agent(settings, model=model, connect=wire.connect)  # type: ignore[arg-type]

    assert parts(device_settings(wire)).station.dispatcher is not None
    assert parts(edge_settings(wire)).station.dispatcher is not None
    assert parts(cloud_settings(wire)).station.dispatcher is None


async def test_a_bundle_that_is_missing_stops_the_start() -> None:
    wire = MemoryWire()
    with pytest.raises(BundleError, match="looked-up"):
        async with serving(cloud_settings(wire), connect=wire.connect):
            pass


def test_a_policy_that_adapts_wants_a_model_with_a_head() -> None:
    wire = MemoryWire()
    policy = TierSettings(name="device", policy=Quantile(learn=True), upstream="edge")
    settings = device_settings(wire, tier=policy)

    with pytest.raises(SettingsError, match=r"tier\.policy\.learn .* the model lookup has none"):
        build_agent(settings, model=LookupModel(), connect=wire.connect)
    parts = build_agent(settings, model=LookupModel(said=0.9), connect=wire.connect)
    assert parts.station.tier.learns


def test_what_a_memory_is_good_for_is_decided_where_there_is_one() -> None:
    wire = MemoryWire()
    tier = TierSettings(name="edge", policy=RecallRule(), upstream="cloud")
    with pytest.raises(SettingsError, match=r"tier\.policy\.kind recall is for an edge with a mem"):
        build_agent(edge_settings(wire, tier=tier), model=LookupModel(), connect=wire.connect)


def test_a_server_that_tells_no_log_probabilities_is_at_the_top_alone() -> None:
    pytest.importorskip("httpx2")
    from shared.runtimes.openai_server import OpenaiModel  # noqa: PLC0415 - optional
    from shared.runtimes.server_settings import connector  # noqa: PLC0415 - optional

    wire = MemoryWire()
    wanted = ModelSettings(source="http://127.0.0.1:1/v1", runtime="openai", model="m")

    def build(settings: AgentSettings, *, certain: bool) -> AgentParts:
        model = OpenaiModel(wanted, connector(wanted), Manners(certain, "max_tokens"))
        return build_agent(settings, model=model, connect=wire.connect)

    with pytest.raises(SettingsError, match=r"m at http://127\.0\.0\.1:1/v1 tells no log prob"):
        build(edge_settings(wire), certain=False)
    assert isinstance(build(edge_settings(wire), certain=True).batcher, Caller)
    assert isinstance(build(cloud_settings(wire), certain=False).batcher, Caller)


async def test_a_password_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    missing = str(tmp_path / "password")
    settings = cloud_settings(MemoryWire(), mqtt=MqttSettings(username="c", password_file=missing))
    with pytest.raises(SettingsError, match="password"):
        async with serving(settings, model=LookupModel()):
            pass


async def test_a_served_agent_is_announced_and_says_goodbye() -> None:
    wire = MemoryWire()
    topic = f"{wire.root}/v1/status/cloud/cloud-1"
    async with serving(cloud_settings(wire), model=LookupModel("m"), connect=wire.connect):
        await eventually(lambda: topic in wire.broker.retained)
        status = decode_status(wire.broker.retained[topic])
        assert (status.state, status.model, status.tasks) == ("online", "m", ("classify",))
    assert decode_status(wire.broker.retained[topic]).state == "offline"


async def test_leaving_ends_every_task_and_frees_the_metrics_port() -> None:
    before = asyncio.all_tasks()
    wire, port = MemoryWire(), free_port()
    for _ in range(2):
        settings = edge_settings(wire, metrics=MetricsSettings(port=port))
        async with serving(settings, model=LookupModel(), connect=wire.connect):
            await asyncio.sleep(0)
    await eventually(lambda: asyncio.all_tasks() == before)


async def test_whatever_fails_while_leaving_the_rest_is_closed_all_the_same() -> None:
    wire = MemoryWire()
    parts = build_agent(cloud_settings(wire), model=LookupModel(), connect=wire.connect)

    async def fails() -> None:
        raise RuntimeError("the drain broke")

    with pytest.raises(RuntimeError, match="the drain broke"):
        async with run_agent(parts, fails):
            pass

    assert not wire.broker._clients, "the bus is closed"
    assert isinstance(parts.batcher, Batcher)
    assert parts.batcher._stopping
