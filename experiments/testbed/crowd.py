"""A crowd of simulated agents around a real centre: how long until all are known, and its memory.

``python -m experiments.testbed.crowd 1000`` (``make crowd``). Each simulated agent has a link,
a status and a report of its own, as a real one has; it has no model, so that a thousand of them fit
on one machine. The broker and the centre are processes of their own.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from broker.start import BrokerSettings
from broker.start import command as broker_command
from experiments.testbed.processes import free_port
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.membership.announcer import Announcer
from shared.membership.status import Load
from shared.nodes.machine import this_machine
from shared.nodes.reporter import NodeReporter
from shared.telemetry import log
from shared.wire.control import HeldBundle, NodeReport, Telemetry
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks import Task

_LIMIT_S: Final = 120.0
_TASKS: Final[tuple[Task, ...]] = ("classify",)
_LOOK_S: Final = 0.1
_LOOKS: Final = 5
_SETTLE_S: Final = 5.0
"""Of telemetry, as a centre has it all day, before its memory is measured."""
_MB: Final = 1e6


class CrowdAgent:
    """One simulated agent."""

    def __init__(self, mqtt: MqttSettings, name: str, tier: str) -> None:
        topics = Topics(mqtt.root)
        self._announcer = Announcer(
            topics.status(tier, name),
            tasks=_TASKS,
            model="simulated",
            heartbeat_s=5.0,
            load=Load,
        )
        self._bus = MqttBus(mqtt, name, will=self._announcer.will())
        machine = this_machine()
        report = NodeReport(
            tier=tier,
            release=version("recserve"),
            processor=machine.processor,
            cores=machine.cores,
            memory_bytes=machine.memory_bytes,
            engines=machine.engines,
            bundles=(HeldBundle("simulated", "0" * 64, in_use=True),),
        )
        telemetry = Telemetry(kept=7, escalated=3, p95_ms=12.0, thresholds={"classify": 0.8})
        self._reporter = NodeReporter(
            self._bus,
            topics,
            name,
            report=lambda: report,
            telemetry=lambda: telemetry,
            explained=lambda _: None,
        )
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect and speak."""
        await self._bus.start()
        self._running = [
            asyncio.create_task(self._announcer.run(self._bus)),
            asyncio.create_task(self._reporter.run()),
        ]

    async def stop(self) -> None:
        """Say goodbye."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._bus.close()


@click.command(help="Register AGENTS simulated agents with a centre and say what that takes.")
@click.argument("agents", type=click.IntRange(min=1), default=1000)
def command(agents: int) -> None:
    """Print one JSON object."""
    log.silence()
    click.echo(msgspec.json.format(msgspec.json.encode(asyncio.run(_measure(agents)))))


async def _measure(agents: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        port, page = free_port(), free_port()
        broker = await _started(
            broker_command(BrokerSettings(port=port, data_dir=f"{folder}/broker"))
        )
        center = await _started(
            [
                *(sys.executable, "-m", "recserve", "center", "-c", "configs/center.yaml"),
                *("--set", f"mqtt.port={port}", "--set", f"web.port={page}"),
                *("--set", f"state={folder}/center", "--set", "log.level=warning"),
            ]
        )
        try:
            return await _register(agents, MqttSettings(port=port), page, center.pid)
        finally:
            for process in (center, broker):
                process.terminate()
                await process.wait()


async def _register(agents: int, mqtt: MqttSettings, page: int, pid: int) -> dict[str, Any]:
    await _until(page, 0)
    crowd = [
        CrowdAgent(mqtt, f"agent-{n:04}", ("device", "edge", "cloud")[n % 3]) for n in range(agents)
    ]
    began_s = time.monotonic()
    await asyncio.gather(*(agent.start() for agent in crowd))
    known = await _until(page, agents)
    registered_s = time.monotonic() - began_s
    await asyncio.sleep(_SETTLE_S)
    paints = [await asyncio.to_thread(_timed, page, "/") for _ in range(_LOOKS)]
    renewals = [await asyncio.to_thread(_timed, page, "/fragments/fleet") for _ in range(_LOOKS)]
    result = {
        "agents": agents,
        "known": known,
        "registered_s": round(registered_s, 2),
        "center_megabytes": round(_resident(pid) / _MB, 1),
        "page_ms": round(1000 * sorted(paints)[_LOOKS // 2], 1),
        "update_ms": round(1000 * sorted(renewals)[_LOOKS // 2], 1),
        "processor": this_machine().processor,
        "cores": this_machine().cores,
    }
    await asyncio.gather(*(agent.stop() for agent in crowd))
    return result


async def _started(line: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *line, cwd=Path(__file__).parents[2], stderr=asyncio.subprocess.DEVNULL
    )


async def _until(page: int, agents: int) -> int:
    """Return how many agents the centre knows, once it is there and knows as many."""
    give_up_s = time.monotonic() + _LIMIT_S
    while True:
        known = await asyncio.to_thread(_known, page)
        if known >= agents or time.monotonic() > give_up_s:
            return known
        await asyncio.sleep(_LOOK_S)


def _known(page: int) -> int:
    """Return how many agents the centre holds for alive and knows the report of; -1: none there."""
    connection = http.client.HTTPConnection("127.0.0.1", page, timeout=30)
    try:
        connection.request("GET", "/api/fleet")
        fleet = msgspec.json.decode(connection.getresponse().read())["agents"]
    except OSError:
        return -1
    finally:
        connection.close()
    return sum(a["life"] == "alive" and bool(a["report"]) for a in fleet)


def _timed(page: int, path: str) -> float:
    began_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", page, timeout=30)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()
    return time.monotonic() - began_s


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    command()
