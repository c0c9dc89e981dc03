"""A broker, an edge agent and a stream of prompts, while its model is exchanged."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.request import urlopen

import yaml

from device_agent import Device
from experiments.testbed.client import DeviceClient
from experiments.testbed.processes import free_port
from shared.agent.settings import TierSettings
from shared.cascade.policies.baselines import PassAll
from shared.runtimes.model import SHORT_DIGEST
from shared.telemetry.metrics import Metrics
from tests.support.cascades import device_settings
from tests.support.deployed_agents import ROOT, Process, presence
from tests.support.fakes import LookupModel
from tests.support.tiny_models import write_bundle
from tests.support.wires import CONNECT_S, MqttWire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from tests.support.deployed_agents import Presence

    Ask = Callable[[], Coroutine[Any, Any, str]]


Role = Literal["device", "edge", "cloud"]
PROMPTS_S = 50
TEXT = "a good film"


class Ended(NamedTuple):
    """How the command ended, and what it said."""

    status: int
    said: str


class ReloadSite:
    """An agent of a role, with a bundle of its own, on a wire."""

    def __init__(self, folder: Path, role: Role, wire: MqttWire) -> None:
        self.role, self.wire, self.name = role, wire, f"{role}-1"
        self.config, self.bundle = folder / "agent.yaml", folder / "bundle"
        self.state = folder / "state"
        self._folder = folder
        self._metrics = free_port()
        self.settings: dict[str, Any] = {
            "agent": self.name,
            "tier": {"name": role, "policy": {"kind": "keep"}},
            "model": {"source": str(self.bundle)},
            "mqtt": {"port": wire.broker.port, "root": wire.root},
            "metrics": {"port": self._metrics},
            "state": str(self.state),
            "heartbeat_s": 0.5,
        }
        if role == "edge":
            self.settings["tier"]["upstream"] = "cloud"
        self.write()

    def write(self) -> None:
        """Write the settings file."""
        self.config.write_text(yaml.safe_dump(self.settings), encoding="utf-8")

    def pack(self, name: str) -> str:
        """Put a bundle where the agent's is, and return what people see of its hash."""
        return write_bundle(self.bundle, name=name).digest[:SHORT_DIGEST]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[Process, Presence]]:
        """Run the agent, and see what it says of itself."""
        command = [sys.executable, "-m", f"{self.role}_agent", "--config", str(self.config)]
        process = Process(command, self._folder, {})
        try:
            async with presence(self.wire.broker.port, self.wire.root) as agents:
                await agents.wait_for(self.role, "online", process)
                yield process, agents
                assert await process.stop(20) == 0, process.said
        finally:
            process.kill()

    async def reload(self, *words: str) -> Ended:
        """Run the command."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "recserve", "reload", "--config", str(self.config), *words),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return Ended(process.returncode, said.decode())

    async def page(self) -> str:
        """Return what the agent serves for Prometheus."""

        def read() -> str:
            with urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=10) as page:
                text: str = page.read().decode()
                return text

        return await asyncio.to_thread(read)

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[Ask]:
        """Yield what puts one prompt to the agent and returns the label, or what went wrong."""
        opened = self._over_topics() if self.role == "device" else self._from_below()
        async with opened as ask:
            yield ask

    @contextlib.asynccontextmanager
    async def _over_topics(self) -> AsyncIterator[Ask]:
        """Ask a device as programs do."""
        async with DeviceClient.open(self.wire.settings(), [self.name]) as client:

            async def ask() -> str:
                answer = await client.ask(self.name, TEXT, timeout_s=PROMPTS_S)
                assert answer is not None, f"{self.name} said nothing"
                label = str(answer.get("label", answer.get("reason")))
                return f"degraded: {label}" if answer.get("degraded") else label

            yield ask
            assert client.duplicates == 0

    @contextlib.asynccontextmanager
    async def _from_below(self) -> AsyncIterator[Ask]:
        """Ask an upper agent as a device that escalates everything."""
        tier = TierSettings(name="device", policy=PassAll(), upstream=self.role)
        settings = device_settings(self.wire, tier=tier)
        model, connect = LookupModel("below"), self.wire.connect
        async with Device.open(settings, model=model, connect=connect, metrics=Metrics()) as device:
            await device.parts.bus.wait_connected(CONNECT_S)
            dispatcher = device.parts.station.dispatcher
            assert dispatcher is not None
            roster = dispatcher.choice.rosters[0]
            await eventually(lambda: bool(roster.alive("classify", time.monotonic())))

            async def ask() -> str:
                result = await device.ask(TEXT)
                said = str(getattr(result.outcome, "label", result.outcome))
                return said if result.tier == self.role else f"{result.tier}: {said}"

            yield ask


class PromptStream:
    """Prompts put at a steady pace, whatever becomes of them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._asked: list[asyncio.Task[str]] = []
        self._putting = asyncio.create_task(self._put())

    async def _put(self) -> None:
        started_s = time.monotonic()
        while True:
            self._asked.append(asyncio.create_task(self._ask()))
            due_s = started_s + len(self._asked) / PROMPTS_S
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def end(self) -> list[str]:
        """Stop, and return what became of each."""
        self._putting.cancel()
        assert self._asked
        return await asyncio.wait_for(asyncio.gather(*self._asked), 30)
