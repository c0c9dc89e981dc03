"""What the text of a job looks like reaches the allocator of a real fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_agent.center.placement.allocators import LinUcb
from cloud_agent.center.placement.allocators.linucb import LinUcbAllocator
from cloud_agent.center.placement.features import TextFeatures
from tests.cloud_agent.center.rounds.test_task_rounds import agents, centre, rounds, running
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path


async def test_an_allocator_that_looks_at_texts_sees_those_of_the_jobs(tmp_path: Path) -> None:
    wire = MemoryWire()
    looking = rounds(tmp_path, allocator=LinUcb(features=True), rounds=3)
    async with agents(wire, small="device", large="edge"), centre(wire, looking) as center:
        await eventually(running(center).finished.is_set, "the end of the last round")
        learned = running(center)._allocator
        assert isinstance(learned, LinUcbAllocator)
        seen = len(TextFeatures._fields) * 2  # models
        assert learned._moments[-seen:].any(), "what it learned of texts"
        assert not learned._pending, "every outcome came"
    await wire.close()
