"""What somebody who watches a device over its metrics can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.agent.settings import UpstreamSettings
from tests.support.cascades import EASY, HARD, Cascade, cascade
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.agent.build import AgentParts
    from tests.support.wires import Wire

PATIENCE_S = 0.3


@pytest.fixture
async def tiers(wire: Wire) -> AsyncIterator[Cascade]:
    async with cascade(wire) as running:
        yield running


def shown(parts: AgentParts, name: str, **labels: str) -> float | None:
    return parts.metrics.registry.get_sample_value(name, labels)


async def test_a_lost_connection_shows_and_so_does_its_return(tiers: Cascade, wire: Wire) -> None:
    parts = (await tiers.device()).parts
    await eventually(lambda: shown(parts, "recserve_connected", broker="own") == 1)
    seen: list[float | None] = []
    parts.bus.watch(lambda _: seen.append(shown(parts, "recserve_connected", broker="own")))

    wire.cut(parts.bus)
    await wire.return_(parts.bus)

    await eventually(lambda: seen[-2:] == [0, 1])
    assert shown(parts, "recserve_connected", broker="above") is None


async def test_those_above_are_counted_while_they_live(tiers: Cascade) -> None:
    await tiers.edge("edge-1")
    await tiers.edge("edge-2")
    parts = (await tiers.device()).parts
    assert shown(parts, "recserve_agents_above", tier="edge") == 2

    tiers.kill("edge-1")

    await eventually(lambda: shown(parts, "recserve_agents_above", tier="edge") == 1)


async def test_what_askers_waited_is_told_by_who_answered(tiers: Cascade) -> None:
    await tiers.edge()
    device = await tiers.device(upstream=UpstreamSettings(patience_s=PATIENCE_S))

    await device.ask(EASY)
    await device.ask(HARD)
    tiers.kill("edge-1")
    await eventually(lambda: shown(device.parts, "recserve_agents_above", tier="edge") == 0)
    assert (await device.ask(HARD)).degraded

    def waited(tier: str, degraded: str, series: str) -> float:
        labels = {"tier": tier, "degraded": degraded}
        return shown(device.parts, f"recserve_answer_seconds_{series}", **labels) or 0.0

    assert waited("device", "no", "count") == 2, "one more was asked when the device came up"
    assert waited("edge", "no", "count") == 1
    assert waited("device", "yes", "count") == 1
    assert waited("device", "yes", "sum") >= PATIENCE_S
    assert (shown(device.parts, "recserve_prompt_seconds_sum", tier="device") or 0) < PATIENCE_S


async def test_the_page_names_agent_tier_model_and_what_the_policy_is_to_hold(
    tiers: Cascade,
) -> None:
    parts = (await tiers.device(name="pi-attic")).parts

    (info,) = [
        sample.labels
        for family in parts.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "recserve_info"
    ]
    assert (info["agent"], info["tier"], info["model"]) == ("pi-attic", "device", "pi-attic")
    labels = {"tier": "device", "task": "classify", "figure": "beta_ratio"}
    assert shown(parts, "recserve_policy", **labels) == 1.0
