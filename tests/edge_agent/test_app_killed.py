"""An edge that remembers, as a process, killed at any moment between a device and a cloud."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from edge_agent.memory.store import FILE, MemoryStore
from tests.support.cascades import cascade
from tests.support.embedders import write_embedder
from tests.support.forked_edge import ForkedEdge
from tests.support.processes import BrokerProcess, skip_without_program
from tests.support.tiny_models import write_bundle
from tests.support.wires import MqttWire, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from device_agent import Device
    from edge_agent.memory.rows import Loaded
    from shared.messages import Result

pytest.importorskip("onnx")
KILLS = int(os.environ.get("MEMORY_KILLS", "4"))
"""`make days` kills it twenty times."""
SETTINGS = """
agent: {agent}
tier: {{name: edge, upstream: cloud, policy: {{kind: pass}}}}
model: {{source: {folder}/edge, threads: 1}}
mqtt: {{port: {port}, root: {root}, reconnect_min_s: 0.05, reconnect_max_s: 0.2}}
heartbeat_s: 0.5
state: {folder}/state
memory: {{embedder: {folder}/embedder, rule: worth, check_share: 0.0, patience_s: 10}}
"""


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[MqttWire]:
    skip_without_program("mosquitto", "mosquitto")
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    yield MqttWire(broker)
    broker.kill()


@pytest.fixture
def edge(tmp_path: Path, wire: MqttWire) -> Iterator[ForkedEdge]:
    made = ForkedEdge(_settings(tmp_path, wire))
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
async def test_an_edge_killed_at_any_moment_loses_its_tail_and_no_prompt(
    tmp_path: Path, wire: MqttWire, edge: ForkedEdge
) -> None:
    draw, known = random.Random(7), 0
    async with cascade(wire) as tiers:
        await tiers.cloud()
        device = await tiers.device(knows_above=False)
        for life in range(KILLS):
            await _begin(edge, device)
            asked = [_question(100 * life + number) for number in range(12)]
            answers = [asyncio.ensure_future(device.ask(text)) for text in asked]
            await asyncio.wait(answers[: draw.randrange(1, 12)])
            await asyncio.sleep(draw.uniform(0.0, 0.03))
            written = await _read(tmp_path)
            edge.kill()
            loaded = await _read(tmp_path)
            results = await asyncio.gather(*answers)

            assert all(_answered(result) for result in results)
            assert len({result.id for result in results}) == len(asked)
            assert (written.broken, loaded.broken) == (0, 0)
            numbers = [entry.id for entry in loaded.entries]
            assert numbers == list(range(1, len(numbers) + 1))
            assert known <= len(written.entries) <= len(numbers)
            known = len(numbers)

        await _begin(edge, device)
        ways = [await _way(device, entry.question) for entry in loaded.entries[:6]]
        edge.kill()
    await wire.close()

    assert known > KILLS
    assert "memory" in ways


async def _begin(edge: ForkedEdge, device: Device) -> None:
    """Begin a life of the edge, and return once the device sees it."""
    dispatcher = device.parts.station.above
    roster = dispatcher.choice.rosters[0]
    before = roster.status_of("edge-1")
    await asyncio.to_thread(edge.start)

    def sees() -> bool:
        status = roster.status_of("edge-1")
        alive = "edge-1" in roster.alive("classify", time.monotonic())
        return alive and status is not None and (before is None or status.boot != before.boot)

    await eventually(sees, "seeing the edge's new life", 60.0)


def _settings(folder: Path, wire: MqttWire) -> Path:
    write_bundle(folder / "edge")
    write_embedder(folder / "embedder")
    file = folder / "edge.yaml"
    port, root = wire.broker.port, wire.root
    file.write_text(SETTINGS.format(agent="edge-1", folder=folder, port=port, root=root))
    return file


def _question(number: int) -> str:
    letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
    return f"Is the film {letters} good?"


def _answered(result: Result) -> bool:
    return result.tier in {"device", "edge", "cloud"} and result.hops[-1].agent != ""


async def _way(device: Device, question: str) -> str:
    source = (await device.ask(question)).hops[-1].source
    return source.way if source is not None else "model"


async def _read(folder: Path) -> Loaded:
    path = folder / "state" / FILE
    store = MemoryStore.join(path)
    loaded = await asyncio.to_thread(store.load)
    await store.close()
    return loaded
