"""A broker, agents and the links between them, as processes that can be killed, stopped and frozen.

Agents that die by themselves are started again, as systemd does, and how is noted; one that ends
because it believes another process to have its name is left dead, as systemd is told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import yaml

from broker.start import BrokerSettings
from broker.start import command as broker_command
from chaos import disks
from chaos.embedder import write_site_embedder
from chaos.plan import ROOT, Plan, Role, embedder_of, machine_of
from chaos.presence import ChaosFailed, all_online
from chaos.proxy import Proxy
from chaos.troubled import KILLED_BY_PROMPT
from experiments.testbed.processes import free_port
from shared.bus.mqtt.settings import MqttSettings
from shared.cli import FENCED_STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STOP_S = 12.0
_PACKET: Final = "max_packet_size "


class ChaosSite:
    """Everything of one scenario; use as an async context.

    ``deaths`` counts by agent those that a poison prompt caused; ``faults`` tells of every other
    end of a process that we did not ask for.
    """

    def __init__(self, plan: Plan, folder: Path, seed: int) -> None:
        self.plan = plan
        self.folder = folder
        self.state = folder / "state"
        self.disk = folder / "disk"
        self.port = free_port()
        self.upper_port = free_port() if plan.upper else self.port
        self.metrics: dict[str, int] = {}
        self.proxies: dict[str, Proxy] = {}
        self.deaths: Counter[str] = Counter()
        self.faults: list[str] = []
        self._seed = seed
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._expected_dead: set[str] = set()
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> ChaosSite:  # noqa: PYI034 - typing has Self from 3.11 on
        if self.plan.disk:
            self.plan.disk.mount(self.disk)
        if self.plan.remembers:
            write_site_embedder(embedder_of(self.state))
        try:
            for broker, port in self.brokers().items():
                self._start(broker)
                await self._wait_for_port(port)
            for number, name in enumerate(self.plan.agents()):
                if self.plan.links:
                    proxy = self.proxies[name] = Proxy(self.port, self._seed + number)
                    await proxy.start()
            for name in self.plan.processes():
                self._start(name)
            await self.all_online()
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
        await self._end(self.brokers())
        for proxy in self.proxies.values():
            await proxy.close()
        if self.plan.disk:
            disks.thaw(self.disk)
            disks.unmount(self.disk)

    # -- what a scenario does to it ------------------------------------------------------------

    def brokers(self) -> dict[str, int]:
        """Return the brokers by name, with their ports."""
        upper = {"broker-2": self.upper_port} if self.plan.upper else {}
        return {"broker": self.port, **upper}

    def start(self, name: str) -> None:
        """Start the agents of a machine, or a broker, with the state that they left.

        They are on the same ports each time.
        """
        for process in self.plan.at(name):
            self._start(process)

    def kill(self, *names: str) -> None:
        """Kill -9 processes; they stay dead until they are started."""
        killed = [process for name in names for process in self.plan.at(name)]
        self._expected_dead.update(killed)
        for name in killed:
            self._processes[name].kill()
        for name in killed:
            self._processes[name].wait()

    async def stop(self, name: str) -> None:
        """Ask agents to end, as a service manager does, and wait until they have."""
        stopped = self.plan.at(name)
        self._expected_dead.update(stopped)
        for each in stopped:
            self._processes[each].terminate()
        for each in stopped:
            status = await asyncio.to_thread(self._processes[each].wait, _STOP_S)
            if status:
                self.faults.append(f"{each} stopped with status {status}")

    def freeze(self, *names: str) -> None:
        """Stop processes where they stand (SIGSTOP)."""
        for name in names:
            self.signal(name, signal.SIGSTOP)

    def thaw(self, *names: str) -> None:
        """Let frozen processes go on."""
        for name in names:
            self.signal(name, signal.SIGCONT)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send any other signal."""
        for process in self.plan.at(name):
            self._processes[process].send_signal(number)

    def process_ids(self) -> dict[str, int]:
        """Return the process id of everybody who runs, by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def mqtt(self, port: int = 0) -> MqttSettings:
        """Return how to reach a broker directly, that of the devices unless another is named."""
        port = port or self.port
        return MqttSettings(port=port, protocol="5", reconnect_min_s=0.1, reconnect_max_s=0.5)

    def log(self, process: str) -> str:
        """Return what a process has logged."""
        path = self.folder / f"{process}.log"
        return path.read_text(encoding="utf-8", errors="replace")

    def logs(self) -> str:
        """Return all that the processes have logged."""
        return "".join(self.log(path.stem) for path in self.folder.glob("*.log"))

    async def all_online(self) -> None:
        """Return when every agent is there. Raises ``ChaosFailed``."""
        for port in self.brokers().values():
            there = [
                name for name, role in self.plan.agents().items() if self._port_of(role) == port
            ]
            await all_online(self.mqtt(port), there, self.folder)

    # -- within --------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        if name in self.brokers():
            self._spawn(name, self._broker(name))
            return
        role, flags = self.plan.agents()[name], self.plan.trouble.get(machine_of(name), ())
        config = self._write_settings(name, role)
        module = ["chaos.launcher", role, *flags, "--"] if flags else [f"{role}_agent"]
        if self.plan.crowd and role == "device":
            module = ["chaos.crowd", "--count", str(self.plan.devices)]
        self._spawn(name, [sys.executable, "-m", *module, "--config", str(config)])

    def _broker(self, name: str) -> list[str]:
        """Return the command of a broker, with its configuration written."""
        folder = self.folder / name
        settings = BrokerSettings(port=self.brokers()[name], data_dir=str(folder))
        command, limit = broker_command(settings), self.plan.packet_bytes
        if limit:
            path = folder / "mosquitto.conf"
            usual = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in usual if not line.startswith(_PACKET)]
            path.write_text("\n".join([*kept, f"{_PACKET}{limit}", ""]), encoding="utf-8")
        return command

    def _port_of(self, role: Role) -> int:
        return self.upper_port if role == "cloud" else self.port

    def _write_settings(self, name: str, role: Role) -> Path:
        if role == "device" and not self.plan.crowd and name not in self.metrics:
            self.metrics[name] = free_port()
        disk = self.plan.disk
        settings = self.plan.settings_of(
            name,
            port=self.proxies[name].port if name in self.proxies else self._port_of(role),
            state=self.disk if disk and role == disk.role else self.state,
            metrics=self.metrics.get(name, 0),
            upper_port=self.upper_port,
        )
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    def _spawn(self, name: str, command: list[str]) -> None:
        self._expected_dead.discard(name)
        with (self.folder / f"{name}.log").open("ab") as log, self._stderr(name, log) as errors:
            self._processes[name] = subprocess.Popen(  # noqa: S603 - our own programs
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=errors
            )

    @contextlib.contextmanager
    def _stderr(self, name: str, log: IO[bytes]) -> Iterator[IO[bytes]]:
        """Give a process its log, or what cannot be written."""
        trouble = self.plan.logs.get(machine_of(name))
        if trouble is None:
            yield log
        elif trouble == "full":
            with Path("/dev/full").open("wb") as full:
                yield full
        else:
            reader, writer = os.pipe()
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                yield pipe

    async def _supervise(self) -> None:
        """Start again what died by itself, as a service manager does."""
        while True:
            await asyncio.sleep(0.2)
            for name, process in list(self._processes.items()):
                status = process.poll()
                if status is None or name in self._expected_dead:
                    continue
                if status == KILLED_BY_PROMPT:
                    self.deaths[name] += 1
                else:
                    self.faults.append(f"{name} ended with status {status}: {self._last(name)}")
                if status == FENCED_STATUS:
                    self._expected_dead.add(name)
                else:
                    self._start(name)

    async def _end(self, names: Iterable[str]) -> None:
        """Ask processes to end together; that they do is one of the promises."""
        ending = {name: self._processes.pop(name) for name in names if name in self._processes}
        for process in ending.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for name, process in ending.items():
            try:
                status = await asyncio.to_thread(process.wait, _STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.faults.append(f"{name} did not end within {_STOP_S:g} s of being asked to")
                continue
            if status and name not in self._expected_dead:
                self.faults.append(f"{name} stopped with status {status}: {self._last(name)}")

    def _last(self, name: str) -> str:
        """Return the last words of a process."""
        return (self.log(name).strip().splitlines() or ["no word"])[-1][:300]

    async def _wait_for_port(self, port: int) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise ChaosFailed(f"no broker on port {port}; see the logs in {self.folder}")
