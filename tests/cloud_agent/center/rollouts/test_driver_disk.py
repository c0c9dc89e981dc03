"""Rollouts of a centre whose disk will not: nothing is under way that was not kept, or not sent."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from cloud_agent.center.rollouts.driver import RolloutOrder
from cloud_agent.center.rollouts.rules import RolloutRules
from shared.errors import StoreError
from tests.support.shipping_sites import opened_site
from tests.support.small_disk import fill, small_disk
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.shipping_sites import ShippingSite

NEVER = RolloutRules(watch_s=3600.0)
ORDER = RolloutOrder(to="edge-*", bundle="better", rules=NEVER)


@contextlib.asynccontextmanager
async def one(folder: Path) -> AsyncIterator[ShippingSite]:
    """A site with one agent that lives, and a bundle for it."""
    wire = MemoryWire()
    async with opened_site(wire, folder) as site, site.agent("edge-1"):
        await site.catalogue(site.bundle("better"))
        await eventually(lambda: site.center.registry.count("alive") == 1, "the agent")
        yield site
    await wire.close()


async def test_a_rollout_that_cannot_be_kept_is_not_under_way(tmp_path: Path) -> None:
    with small_disk(tmp_path / "center", kilobytes=400) as disk:
        async with one(tmp_path) as site:
            rollouts = site.center.rollouts
            ballast = fill(disk)
            with pytest.raises(StoreError, match=r"rollout.json: .*No space left on device"):
                await rollouts.begin(ORDER)

            assert (rollouts.current, rollouts.says) == (None, "")
            ballast.unlink()
            rollout = await rollouts.begin(ORDER)
            await site.reaches("active", "edge-1", digest=rollout.digest)


async def test_a_rollout_that_was_kept_and_could_not_be_sent_goes_out_once_the_disk_lets_it(
    tmp_path: Path,
) -> None:
    async with one(tmp_path) as site:
        rollouts, store = site.center.rollouts, site.center.shipping.store
        in_the_way = store.folder / "wishes.json"
        in_the_way.mkdir()
        with pytest.raises(StoreError, match=r"wishes.json: .*Is a directory"):
            await rollouts.begin(ORDER)
        assert rollouts.current is not None
        await eventually(lambda: "wishes.json" in rollouts.says, "it says what it waits for")

        in_the_way.rmdir()
        await site.reaches("active", "edge-1", digest=rollouts.current.digest)
        await eventually(lambda: rollouts.says.startswith("0 of"), "it is watched")
