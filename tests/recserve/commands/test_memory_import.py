"""``recserve memory import``: a file with a bad line, and a memory that breaks half-way."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from edge_agent.memory.desk import MemoryDesk
from edge_agent.memory.door import MemoryDoor
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.store import MemoryStore
from edge_agent.memory.worker import MemoryWorker
from recserve.commands.memory import command
from shared.errors import MemoryRefused
from shared.wire.topics import Topics
from tests.support.processes import BrokerProcess, skip_without_program
from tests.support.wires import MqttWire, settled
from tests.support.word_vectors import DIMENSIONS, vector_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BREAKS = "Who wrote Book 110?"
NO_WORDING = json.dumps(
    {"id": 1, "task": "generate", "wordings": [], "answer": "x", "created_s": 1, "used_s": 1}
)


class Edge:
    """A memory on a broker, whose embedder breaks at one question until it is mended."""

    def __init__(self, wire: MqttWire) -> None:
        self.where = ("--port", wire.broker.port, "--root", wire.root)
        self.mended = False
        self._store = MemoryStore.open(None, "digest-1", DIMENSIONS)
        self._worker = MemoryWorker(MemorySettings(), DIMENSIONS, self._embed, self._store)
        self.memory = self._worker.memory
        desk = MemoryDesk(self.memory, self._store, self._worker.embed)
        self.door = MemoryDoor(self._worker, desk, self._store)

    def _embed(self, text: str) -> Any:
        if text == BREAKS and not self.mended:
            raise MemoryRefused("the embedder broke")
        return vector_of(text)

    async def take_in(self, file: Path) -> Result:
        words = ["import", "edge-1", str(file), *map(str, self.where)]
        return await asyncio.to_thread(CliRunner().invoke, command, words)

    async def close(self) -> None:
        await self.door.close()
        await self._worker.close()
        await self._store.close()


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    skip_without_program("mosquitto", "mosquitto")
    broker = BrokerProcess("mosquitto", tmp_path / "broker").start()
    wire = MqttWire(broker)
    bus = wire.bus("edge-1")
    made = Edge(wire)
    await settled(bus)
    await made.door.open(bus, Topics(wire.root), "edge-1")
    yield made
    await made.close()
    await wire.close()
    broker.kill()


def write(file: Path, count: int) -> list[str]:
    rows = [
        {
            "id": number, "task": "generate", "wordings": [f"Who wrote Book {number}?"],
            "answer": f"Author {number}", "created_s": 1.0, "used_s": 1.0,
        }
        for number in range(1, count + 1)
    ]  # fmt: skip
    lines = [json.dumps(row) for row in rows]
    file.write_text("\n".join(lines) + "\n")
    return lines


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("{}", "missing required field"),
        ("\x00", "malformed"),
        (NO_WORDING, "it has 0 wordings, not 1 to 5"),
        ('"' + 200_000 * "x" + '"', "200,003 bytes, more than 131,072"),
    ],
)
async def test_a_bad_line_far_down_is_named_and_nothing_is_taken_in(
    edge: Edge, tmp_path: Path, bad: str, fault: str
) -> None:
    file = tmp_path / "rows.jsonl"
    lines = write(file, 150)
    file.write_text("\n".join([*lines[:120], bad, *lines[120:]]) + "\n")
    ran = await edge.take_in(file)

    assert ran.exit_code == 2
    assert f"{file}, line 121: no entry of a memory" in ran.output
    assert fault in ran.output
    assert "nothing was taken in: mend the line or remove it, and import again" in ran.output
    assert not edge.memory.entries


async def test_of_several_bad_lines_the_first_is_named_and_the_others_counted(
    edge: Edge, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    lines = write(file, 5)
    file.write_text("\n".join([lines[0], "{}", *lines[1:], "[]", "7"]) + "\n")

    assert "line 2: no entry" in (said := (await edge.take_in(file)).output)
    assert "and so are 2 more of 8" in said


async def test_a_memory_that_breaks_half_way_says_how_many_it_has_and_goes_on_from_there(
    edge: Edge, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    write(file, 120)
    ran = await edge.take_in(file)

    assert ran.exit_code == 2
    assert "the embedder broke; 100 of the 120 entries had been taken in before that" in ran.output
    assert len(edge.memory.entries) == 100
    edge.mended = True
    assert (await edge.take_in(file)).output == "100 known, 20 stored\n"
