"""What the text of a job looks like reaches the allocator of a real fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloud_agent.center.placement.allocators import ActiveInference, LinUcb
from cloud_agent.center.placement.allocators.linucb import LinUcbAllocator
from cloud_agent.center.placement.features import TextFeatures
from tests.cloud_agent.center.rounds.test_task_rounds import agents, centre, rounds, running
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cloud_agent.center.placement.allocators import FleetAllocator
    from cloud_agent.center.placement.jobs import FleetJob, OpenNode


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


@pytest.mark.parametrize(
    ("settings", "looks"),
    [(ActiveInference(), False), (LinUcb(), False), (LinUcb(features=True), True)],
    ids=["default", "blind", "looking"],
)
async def test_texts_are_looked_at_for_an_allocator_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: FleetAllocator, looks: bool
) -> None:
    wire = MemoryWire()
    given = rounds(tmp_path, allocator=settings, rounds=1)
    async with agents(wire, small="device"), centre(wire, given) as center:
        allocator = running(center)._allocator
        jobs: list[FleetJob] = []
        choose = allocator.choose

        def noting(job: FleetJob, candidates: Sequence[OpenNode]) -> int:
            jobs.append(job)
            return choose(job, candidates)

        monkeypatch.setattr(allocator, "choose", noting)
        await eventually(running(center).finished.is_set, "the end of the last round")

        assert {bool(job.features) for job in jobs} == {looks}
    await wire.close()
