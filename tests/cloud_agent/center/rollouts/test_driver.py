"""Rollouts on a real fleet: what is asked for while another step is on its way waits for that."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from cloud_agent.center.rollouts.rules import Rollout, RolloutRules
from tests.support.shipping_sites import opened_site
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from collections.abc import Iterable
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
            roll_back = shipping.roll_back

            async def look_meanwhile(agents: Iterable[str], reason: str) -> dict[str, str]:
                looks.append(asyncio.ensure_future(rollouts.look()))
                await asyncio.sleep(0)
                return await roll_back(agents, reason)

            monkeypatch.setattr(shipping, "roll_back", look_meanwhile)
            rollouts.current = Rollout(
                digest=bundle.digest,
                name="better",
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
