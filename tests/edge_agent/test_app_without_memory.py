"""An edge without a memory: nothing of one is loaded or done, whatever it is asked."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import ROOT

PROGRAM = """
import asyncio, sys, threading
from edge_agent.settings import EdgeSettings
from tests.support.cascades import cascade
from tests.support.wires import MemoryWire

async def main():
    async with cascade(MemoryWire()) as tiers:
        await tiers.cloud()
        edge = await tiers.edge()
        device = await tiers.device()
        for text in ("hard", "hardest", "hardest"):
            await device.ask(text)
        assert edge.seen == ["hard", "hardest", "hardest"], edge.seen
        print(type(tiers.parts["edge-1"].station.solver).__name__)
        print([each.name for each in threading.enumerate() if each.name.startswith("memory")])
        print([name for name in sys.modules if "edge_agent.memory." in name])

asyncio.run(main())
"""


def test_an_edge_without_a_memory_answers_by_its_model_alone_and_loads_nothing_else() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    solver, threads, modules = ran.stdout.strip().splitlines()[-3:]
    assert solver == "Batcher"
    assert threads == "[]"
    assert modules == "['edge_agent.memory.settings']"


def test_an_edge_without_a_memory_loads_none_of_it() -> None:
    program = (
        "import sys; from edge_agent.command import command; "
        "print([name for name in sys.modules if 'edge_agent.memory.' in name])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert found.stdout.strip() == "['edge_agent.memory.settings']"
