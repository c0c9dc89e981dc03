"""A broker, agents and the links between them, as processes that can be killed, stopped and frozen.

Agents that die by themselves are started again, as systemd does; how often is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import yaml

from broker.start import BrokerSettings
from broker.start import command as broker_command
from chaos.proxy import Proxy
from recserve.processes import free_port
from shared.errors import MalformedMessage
from shared.mqtt_bus import MqttBus
from shared.presence import decode_status
from shared.settings import MqttSettings
from shared.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.bus import Message

Role = Literal["device", "edge", "cloud"]
ROOT = Path(__file__).parents[1]
_READY_S = 60.0
_STOP_S = 12.0
_ABOVE = {"device": "edge", "edge": "cloud", "cloud": None}


class ChaosFailed(Exception):
    """The site itself did not come up: no word about the agents' promises."""


@dataclass(frozen=True)
class Plan:
    """What a site consists of.

    ``trouble`` are flags of ``chaos.launcher`` by agent, ``settings`` changes by role. With
    ``links`` every agent reaches its broker through a proxy of its own; with ``crowd`` the devices
    share one process, called ``device-1``.
    """

    devices: int = 2
    edges: int = 2
    clouds: int = 1
    links: bool = False
    crowd: bool = False
    trouble: dict[str, tuple[str, ...]] = field(default_factory=dict)
    settings: dict[Role, dict[str, Any]] = field(default_factory=dict)

    def names(self, role: Role) -> list[str]:
        """Return the names of the agents of one role."""
        count = {"device": self.devices, "edge": self.edges, "cloud": self.clouds}[role]
        return [f"{role}-{number}" for number in range(1, count + 1)]

    def agents(self) -> dict[str, Role]:
        """Return every agent with its role, the top first: nobody then starts without an above."""
        roles: tuple[Role, ...] = ("cloud", "edge", "device")
        return {name: role for role in roles for name in self.names(role)}

    def processes(self) -> list[str]:
        """Return the names of the processes, in the order of starting."""
        return [name for name, role in self.agents().items() if not self._shares(name, role)]

    def _shares(self, name: str, role: Role) -> bool:
        return self.crowd and role == "device" and name != "device-1"


class Site:
    """Everything of one scenario; use as an async context."""

    def __init__(self, plan: Plan, folder: Path, seed: int) -> None:
        self.plan = plan
        self.folder = folder
        self.port = free_port()
        self.proxies: dict[str, Proxy] = {}
        self.deaths: Counter[str] = Counter()
        self._seed = seed
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._expected_dead: set[str] = set()
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Site:  # noqa: PYI034 - typing has Self from 3.11 on
        try:
            self.start_broker()
            await self._wait_for_port()
            for number, name in enumerate(self.plan.agents()):
                if self.plan.links:
                    proxy = self.proxies[name] = Proxy(self.port, self._seed + number)
                    await proxy.start()
            for name in self.plan.processes():
                self.start(name)
            await self._all_online()
        except BaseException:
            await self.close()
            raise
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop devices first and the broker last; kill what does not end."""
        if self._supervisor is not None:
            self._supervisor.cancel()
        for role in ("device", "edge", "cloud"):
            await self._end(name for name, its in self.plan.agents().items() if its == role)
        await self._end(["broker"])
        for proxy in self.proxies.values():
            await proxy.close()

    # -- what a scenario does to it ------------------------------------------------------------

    def start_broker(self) -> None:
        """Start the broker, on the same port each time."""
        data = str(self.folder / "broker")
        self._spawn("broker", broker_command(BrokerSettings(port=self.port, data_dir=data)))

    def start(self, name: str) -> None:
        """Start an agent, with the state that it left."""
        role, flags = self.plan.agents()[name], self.plan.trouble.get(name, ())
        config = self._write_settings(name, role)
        module = ["chaos.launcher", role, *flags, "--"] if flags else [f"{role}_agent"]
        if self.plan.crowd and role == "device":
            module = ["chaos.crowd", "--count", str(self.plan.devices)]
        self._spawn(name, [sys.executable, "-m", *module, "--config", str(config)])

    def kill(self, *names: str) -> None:
        """Kill -9 processes; they stay dead until they are started."""
        for name in names:
            self._expected_dead.add(name)
            self._processes[name].kill()
            self._processes[name].wait()

    def freeze(self, *names: str) -> None:
        """Stop processes where they stand (SIGSTOP)."""
        for name in names:
            self._processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, *names: str) -> None:
        """Let frozen processes go on."""
        for name in names:
            self._processes[name].send_signal(signal.SIGCONT)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send any other signal."""
        self._processes[name].send_signal(number)

    def mqtt(self) -> MqttSettings:
        """Return how to reach the broker directly."""
        return MqttSettings(port=self.port, protocol="5", reconnect_min_s=0.1, reconnect_max_s=0.5)

    # -- within --------------------------------------------------------------------------------

    def _write_settings(self, name: str, role: Role) -> Path:
        port = self.proxies[name].port if name in self.proxies else self.port
        settings: dict[str, Any] = {
            "agent": name,
            "tier": {"name": role, "policy": {"kind": "quantile", "beta": 0.3}},
            "model": {"source": str(ROOT / "models" / "bundles" / f"sentiment-{role}")},
            "mqtt": {"port": port, "protocol": "5", "keepalive_s": 2, "reconnect_max_s": 1.0},
            "heartbeat_s": 1.0,
            "state": str(self.folder / "state"),
            "upstream": {"patience_s": 4.0},
            "limits": {"timeout_s": 10.0, "drain_s": 3.0},
            "log": {"level": "warning", "format": "json"},
        }
        if _ABOVE[role]:
            settings["tier"]["upstream"] = _ABOVE[role]
        if role == "device":
            settings["tier"]["beyond"] = ["cloud"]
        _merge(settings, self.plan.settings.get(role, {}))
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    def _spawn(self, name: str, command: list[str]) -> None:
        self._expected_dead.discard(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own programs
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def _supervise(self) -> None:
        """Start again what died by itself, as a service manager does."""
        while True:
            await asyncio.sleep(0.2)
            for name, process in list(self._processes.items()):
                if process.poll() is not None and name not in self._expected_dead:
                    self.deaths[name] += 1
                    self.start(name)

    async def _end(self, names: Iterable[str]) -> None:
        ending = [self._processes.pop(name) for name in names if name in self._processes]
        for process in ending:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in ending:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _STOP_S)
            process.kill()
            process.wait()

    async def _wait_for_port(self) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise ChaosFailed(f"no broker on port {self.port}; see {self.folder / 'broker.log'}")

    async def _all_online(self) -> None:
        """Return when every agent has said that it is there."""
        missing = set(self.plan.agents())
        there = asyncio.Event()

        def hear(message: Message) -> None:
            bus.acknowledge(message)
            with contextlib.suppress(MalformedMessage):
                if decode_status(message.payload).state == "online":
                    missing.discard(topics.read_status(message.topic).agent)
            if not missing:
                there.set()

        topics = Topics()
        bus = MqttBus(self.mqtt(), "chaos-watch")
        await bus.subscribe(topics.status("+", "+"), hear)
        await bus.start()
        try:
            await asyncio.wait_for(there.wait(), _READY_S)
        except asyncio.TimeoutError:
            logs = self.folder / f"{min(missing)}.log"
            raise ChaosFailed(f"not online: {sorted(missing)}; see {logs}") from None
        finally:
            await bus.close()


def _merge(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and "kind" not in value:
            _merge(settings.setdefault(key, {}), value)
        else:
            settings[key] = value


def read_letters(folder: Path, edges: Iterable[str]) -> list[dict[str, Any]]:
    """Return the dead letters of agents, as ``recserve deadletters`` lists them."""
    letters: list[dict[str, Any]] = []
    for edge in edges:
        config = str(folder / f"{edge}.yaml")
        ran = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "recserve", "deadletters", "list", "--config", config, "--json"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        letters += [msgspec.json.decode(line) for line in ran.stdout.splitlines()]
    return letters
