"""Files between two agents: whole, in both directions, and from nobody but the other one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared.errors import BundleError
from shared.nodes.exchange import FileExchange
from shared.nodes.fetch import Progress
from shared.nodes.lesson_folder import lay_out, lend
from shared.wire.manifest import CHUNK_BYTES
from shared.wire.topics import Topics
from tests.support.shipped import content, shipped, store_of
from tests.support.wires import MemoryWire, Wire, settled

if TYPE_CHECKING:
    from pathlib import Path

UP, DOWN = content(1, 2 * CHUNK_BYTES + 7), content(2, CHUNK_BYTES + 1)


async def test_two_agents_exchange_files_at_once(wire: Wire, tmp_path: Path) -> None:
    topics, stores = Topics(wire.root), [store_of(tmp_path / "edge"), store_of(tmp_path / "cloud")]
    (tmp_path / "up").write_bytes(UP)
    lend(stores[0], tmp_path, ["up"])
    (tmp_path / "down").write_bytes(DOWN)
    lend(stores[1], tmp_path, ["down"])
    edge = FileExchange(await settled(wire.bus("edge-1")), topics, stores[0], "edge-1", "cloud-1")
    cloud = FileExchange(await settled(wire.bus("cloud-1")), topics, stores[1], "cloud-1", "edge-1")
    for each in (edge, cloud):
        await each.start()

    up, down = shipped({"up": UP}), shipped({"down": DOWN})
    await asyncio.gather(cloud.fetch(up, Progress()), edge.fetch(down, Progress()))
    lay_out(stores[1], up.files, tmp_path / "laid-out")

    assert (tmp_path / "laid-out/up").read_bytes() == UP
    assert stores[0].blob(down.digest).read_bytes() == DOWN
    for each in (edge, cloud):
        each.stop()


async def test_a_third_agent_is_not_answered(tmp_path: Path) -> None:
    wire = MemoryWire()
    topics, stores = Topics(wire.root), [store_of(tmp_path / "edge", UP), store_of(tmp_path / "x")]
    edge = FileExchange(await settled(wire.bus("edge-1")), topics, stores[0], "edge-1", "cloud-1")
    other = FileExchange(
        await settled(wire.bus("cloud-2")), topics, stores[1], "cloud-2", "edge-1", patience_s=0.1
    )
    for each in (edge, other):
        await each.start()

    with pytest.raises(BundleError, match="edge-1 does not answer"):
        await other.fetch(shipped({"up": UP}), Progress())
