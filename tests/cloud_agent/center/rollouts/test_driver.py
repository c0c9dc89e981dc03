"""Rollouts on a real fleet: what is asked for while another step is on its way waits for that."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from cloud_agent.center.rollouts.driver import RolloutOrder
from cloud_agent.center.rollouts.rules import Rollout, RolloutRules
from shared.wire.control import Desired
from tests.support.shipping_sites import opened_site
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


async def test_an_abort_takes_everybody_back_though_it_is_time_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as site:
        shipping, rollouts = site.center.shipping, site.center.rollouts
        bundle = await site.catalogue(site.bundle("better"))
        async with site.agent("edge-1"):
            await shipping.assign(["edge-1"], bundle.digest, "canary")
            await site.reaches("active", "edge-1", digest=bundle.digest)
            looks: list[asyncio.Task[None]] = []
            restore = shipping.restore

            async def look_meanwhile(standing: Mapping[str, Desired], reason: str) -> None:
                looks.append(asyncio.ensure_future(rollouts.look()))
                await asyncio.sleep(0)
                await restore(standing, reason)

            monkeypatch.setattr(shipping, "restore", look_meanwhile)
            rollouts.current = Rollout(
                digest=bundle.digest,
                name="better",
                standing={"edge-1": Desired(generation=0)},
                agents=("edge-1", "edge-2"),
                canaries=("edge-1",),
                rules=RolloutRules(watch_s=0.0, prompts=0),
                started_s=time.time(),
                before={},
            )
            await rollouts.abort("by hand")
            await asyncio.gather(*looks)

            assert looks
            assert rollouts.current.phase == "aborted"
            assert "edge-2" not in shipping.wishes
    await wire.close()


async def test_a_canary_of_which_nothing_was_wanted_before_goes_back_to_its_own(
    tmp_path: Path,
) -> None:
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as site, site.agent("edge-1") as parts:
        bundle = await site.catalogue(site.bundle("better"))
        rules = RolloutRules(watch_s=3600.0)
        await eventually(lambda: site.center.registry.count("alive") == 1, "the agent")
        await site.center.rollouts.begin(RolloutOrder(to="edge-*", bundle="better", rules=rules))
        await site.reaches("active", "edge-1", digest=bundle.digest)

        await site.center.rollouts.abort("by hand")
        await site.reaches("idle", "edge-1")

        assert parts.slot.model.name == "own"
    await wire.close()


async def test_a_centre_that_ended_while_it_took_back_takes_back_again(tmp_path: Path) -> None:
    """Its word had gone out, and the file says still that the canaries are to have it."""
    wire = MemoryWire()
    async with opened_site(wire, tmp_path) as site, site.agent("edge-1") as parts:
        bundle = await site.catalogue(site.bundle("better"))
        await eventually(lambda: site.center.registry.count("alive") == 1, "the agent")
        rules = RolloutRules(watch_s=3600.0)
        order = RolloutOrder(to="edge-*", bundle="better", rules=rules)
        rollout = await site.center.rollouts.begin(order)
        await site.reaches("active", "edge-1", digest=bundle.digest)
        await site.center.shipping.restore(rollout.standing, "back")
        await site.reaches("idle", "edge-1")
        await site.center.shipping.restore(rollout.standing, "back")

        assert (await site.center.rollouts.abort("by hand")).phase == "aborted"
        await asyncio.sleep(0.3)
        assert site.state("edge-1").wanted == ""
        assert parts.slot.model.name == "own"
    await wire.close()
