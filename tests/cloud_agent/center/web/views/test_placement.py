"""The page of placement without rounds; ``test_task_rounds_placed`` has one with a plan."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.request import urlopen

from cloud_agent.center.app import Center
from cloud_agent.center.settings import CenterPart, WebSettings
from cloud_agent.center.web.server import page
from shared.bus.mqtt.settings import MqttSettings
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from pathlib import Path


def read(url: str) -> str:
    with urlopen(url) as answer:  # noqa: S310 - our own page
        return bytes(answer.read()).decode()


async def test_a_centre_that_gives_out_no_jobs_says_how_to_have_some(tmp_path: Path) -> None:
    wire = MemoryWire()
    part = CenterPart(state=str(tmp_path), web=WebSettings(port=0))
    opened = Center.open(part, MqttSettings(root=wire.root), wire.bus)
    async with opened as center, page(center) as url:
        shown = await asyncio.to_thread(read, f"{url}/placement")
    assert "No jobs are given out here" in shown
    assert 'aria-current="page">Placement<' in shown
    await wire.close()
