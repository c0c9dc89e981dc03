"""A thousand real virtual devices on one broker: what statuses cost, heard always and on demand.

``python -m experiments.testbed.listeners 1000`` (``make listeners``). Devices have a connection
and a window each, and share one model; broker and edge agents are processes of their own. Both
ways are taken in one run, on agents started anew, at the same prompts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from device_agent.settings import DeviceSettings
from experiments.datasets.bundled import read_prompts
from experiments.testbed.fleet import Fleet, names_like
from experiments.testbed.processes import (
    AgentEntry,
    UpSettings,
    on_free_ports,
    read_agents,
    running,
)
from shared.nodes.machine import this_machine
from shared.settings.file import load
from shared.telemetry import log

_EDGES: Final = 2
_RATE: Final = 40.0
_WARM_UP_S: Final = 15.0
"""Devices listen from their start; what follows is what they do for the rest of their lives."""
_LISTEN_S: Final = {"always": 3600.0, "on demand": 5.0}


@click.command(help="Have DEVICES virtual devices ask, hearing statuses always and on demand.")
@click.argument("devices", type=click.IntRange(min=1), default=1000)
@click.option("--seconds", type=click.IntRange(min=5), default=30, show_default=True)
def command(devices: int, seconds: int) -> None:
    """Print one JSON object."""
    log.silence()
    found = {name: asyncio.run(_way(devices, seconds, s)) for name, s in _LISTEN_S.items()}
    machine = this_machine()
    facts = {"devices": devices, "processor": machine.processor, "cores": machine.cores}
    click.echo(msgspec.json.format(msgspec.json.encode(facts | found)))


async def _way(devices: int, seconds: int, listen_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        entries = tuple(
            AgentEntry(
                role="edge",
                config="configs/edge.yaml",
                name=f"edge-{number}",
                set={"tier.policy": {"kind": "keep"}},
            )
            for number in range(_EDGES)
        )
        top = AgentEntry(role="cloud", config="configs/cloud.yaml")
        up = on_free_ports(UpSettings(agents=(*entries, top)), Path(folder) / "broker")
        flags = [f"mqtt.port={up.broker.port}", f"upstream.listen_s={listen_s}"]
        settings = load(DeviceSettings, "configs/device.yaml", flags=flags)
        logs = Path(folder) / "logs"
        logs.mkdir()
        async with (
            running(
                up.broker, read_agents(up, overrides={"log.level": "warning"}), logs
            ) as processes,
            Fleet.open(settings, names_like("device", devices), timeout_s=120.0) as fleet,
        ):
            return await _measured(fleet, processes.pids()["broker"], seconds)


async def _measured(fleet: Fleet, broker: int, seconds: int) -> dict[str, Any]:
    await asyncio.sleep(_WARM_UP_S)
    texts = [prompt.text for prompt in read_prompts()]
    every = list(fleet.devices.values())
    began_s, spent_s = time.monotonic(), _core_s(broker)
    asked = []
    for number in range(int(seconds * _RATE)):
        await asyncio.sleep(began_s + number / _RATE - time.monotonic())
        text, device = texts[number % len(texts)], every[number % len(every)]
        asked.append(asyncio.ensure_future(_asked_ms(device, text)))
    took_ms = sorted(await asyncio.gather(*asked))
    share = (_core_s(broker) - spent_s) / (time.monotonic() - began_s)
    return {
        "prompts": len(took_ms),
        "p50_ms": round(statistics.median(took_ms), 1),
        "p99_ms": round(took_ms[int(0.99 * len(took_ms))], 1),
        "broker_core_share": round(share, 4),
    }


async def _asked_ms(device: Any, text: str) -> float:
    began_s = time.monotonic()
    await device.ask(text, timeout_s=60.0)
    return 1000 * (time.monotonic() - began_s)


def _core_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    command()
