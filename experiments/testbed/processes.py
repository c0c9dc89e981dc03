"""A broker and agents as processes of their own on this machine, started and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from broker.start import EVERYWHERE, BrokerSettings, choose
from broker.start import command as broker_command
from cloud_agent.settings import CloudSettings
from device_agent.settings import DeviceSettings
from edge_agent.settings import EdgeSettings
from experiments.testbed.chains import check_chains
from shared.agent.settings import AgentSettings
from shared.bus.mqtt.bus import MqttBus
from shared.errors import RecServeError, SettingsError
from shared.membership.watcher import StatusWatcher
from shared.settings.file import Written, load
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from shared.agent.settings import TierSettings
    from shared.bus.mqtt.settings import MqttSettings
    from shared.membership.watcher import HeardStatus

_STOP_S = 10.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_KINDS: Final[dict[str, type[AgentSettings]]] = {
    "device": DeviceSettings,
    "edge": EdgeSettings,
    "cloud": CloudSettings,
}
_ORDER = {"device": 0, "edge": 1, "cloud": 2}
_FIRST_PORT, _PORTS = 20_000, 12_000
_turns = itertools.count(secrets.randbelow(_PORTS))


class ProcessFailed(RecServeError):
    """A process that should have run ended, or never became ready."""


class AgentEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent to run."""

    role: Annotated[Literal["device", "edge", "cloud"], Meta(description="which agent")]
    config: Annotated[str, Meta(description="its YAML file")]
    name: Annotated[str, Meta(description="its name; empty: the one in its file")] = ""
    set: Annotated[
        dict[str, Written], Meta(description="settings that differ from the file, by dotted key")
    ] = {}


class UpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A broker and the agents around it."""

    broker: BrokerSettings = BrokerSettings()
    agents: Annotated[tuple[AgentEntry, ...], Meta(min_length=1, description="agents to run")]


class Agent(msgspec.Struct, frozen=True):
    """One agent as it will run: its settings, and the command line that starts it."""

    role: Literal["device", "edge", "cloud"]
    settings: AgentSettings
    command: tuple[str, ...]


def read_agents(up: UpSettings, *, overrides: Mapping[str, Any] | None = None) -> list[Agent]:
    """Read every agent's settings, so that a mistake shows before anything starts.

    ``overrides`` hold for all agents. All are pointed to the settings' broker. Raises
    ``SettingsError``, also when two agents have the same name, or nobody above answers what one
    below sends up.
    """
    common: dict[str, Any] = {
        "mqtt.host": reachable(up.broker.host),
        "mqtt.port": up.broker.port,
    }
    if choose(up.broker.kind) == "embedded":
        common["mqtt.protocol"] = "3.1.1"  # spares every agent the question
    agents: list[Agent] = []
    for entry in up.agents:
        values = common | dict(overrides or {}) | entry.set
        if entry.name:
            values["agent"] = entry.name
        flags = [f"{key}={msgspec.json.encode(value).decode()}" for key, value in values.items()]
        kind = _KINDS[entry.role]
        settings = load(kind, entry.config, environment=os.environ, flags=flags)
        if any(agent.settings.agent == settings.agent for agent in agents):
            raise SettingsError(f"two agents are called {settings.agent!r}; give each a name")
        line = [sys.executable, "-m", f"{entry.role}_agent", "--config", entry.config]
        for flag in flags:
            line += ["--set", flag]
        agents.append(Agent(entry.role, settings, tuple(line)))
    check_chains([agent.settings for agent in agents])
    return agents


class Processes:
    """Running processes by name; none of them outlives this one, however it ends."""

    def __init__(self) -> None:
        self._logs: dict[str, Path] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, command: Sequence[str], log: Path | None = None) -> None:
        """Start one process in a group of its own, so that Ctrl-C reaches only us.

        What it writes goes to a file, or where our own words go.
        """
        if log is not None:
            self._logs[name] = log
        with _opened(log) as words:
            self._running[name] = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=words, stderr=words,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip

    async def first_ended(self) -> str:
        """Return the name of the first process to end, whenever that is."""
        waits = {asyncio.create_task(p.wait()): name for name, p in self._running.items()}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[done.pop()]
        finally:
            for wait in waits:
                wait.cancel()

    async def ended(self, name: str) -> None:
        """Return once a process has ended, and let go of it: its name is free again."""
        await self._running.pop(name).wait()

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        return {name: process.pid for name, process in self._running.items()}

    def failure(self, name: str) -> ProcessFailed:
        """Return the error that tells how a process ended, with the last line it wrote."""
        code = self._running[name].returncode
        last = ""
        if name in self._logs:
            text = self._logs[name].read_text(encoding="utf-8", errors="replace")
            last = "; its last words: " + (text.strip().splitlines() or ["none"])[-1]
        return ProcessFailed(f"{name} ended with status {code}{last}")

    async def stop(self, *names: str) -> None:
        """Ask the named processes to end together; kill what does not in time."""
        stopping = [self._running.pop(name) for name in names if name in self._running]
        for process in stopping:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        waits = [asyncio.create_task(process.wait()) for process in stopping]
        if waits:
            await asyncio.wait(waits, timeout=_STOP_S)
        for process in stopping:
            if process.returncode is None:
                process.kill()
                await process.wait()


@contextlib.asynccontextmanager
async def running(
    broker: BrokerSettings, agents: Sequence[Agent], logs: Path | None = None
) -> AsyncIterator[Processes]:
    """Run a broker and agents; return once every agent has said that it is online.

    The broker's words go to ``log`` in its own folder, and those of all to files in ``logs`` if it
    names a folder. On leaving, devices stop first, then edge, then cloud, then the broker. Raises
    ``ProcessFailed`` when one of them ends early or is not ready in time.
    """
    processes = Processes()
    folder = Path(broker.data_dir) if logs is None else logs
    log = folder / ("log" if logs is None else "broker.log")
    try:
        await processes.start("broker", broker_command(broker), log)
        await wait_for_port(reachable(broker.host), broker.port, processes)
        for agent in agents:
            name = agent.settings.agent
            await processes.start(name, agent.command, logs and logs / f"{name}.log")
        await _all_online(agents, processes)
        yield processes
    finally:
        for role in sorted(_ORDER, key=_ORDER.__getitem__):
            await processes.stop(*(a.settings.agent for a in agents if a.role == role))
        await processes.stop("broker")


async def wait_for_port(
    host: str, port: int, processes: Processes, timeout_s: float = 15.0
) -> None:
    """Return when somebody listens; raises ``ProcessFailed`` when the broker ends instead."""
    ended = asyncio.create_task(processes.first_ended())
    deadline_s = time.monotonic() + timeout_s
    try:
        while not ended.done():
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                if time.monotonic() > deadline_s:
                    raise ProcessFailed(f"nobody listens on {host}:{port}") from None
                await asyncio.wait({ended}, timeout=0.05)
                continue
            writer.close()
            await asyncio.wait({ended}, timeout=0.05)
            if not ended.done():
                return
        raise processes.failure(ended.result())
    finally:
        ended.cancel()


def reachable(host: str) -> str:
    """Return where to reach who listens on an address, or on every one, of this machine."""
    return {EVERYWHERE: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def on_free_ports(up: UpSettings, data_dir: Path) -> UpSettings:
    """Return the same with the broker, and every agent's metrics, on ports that are free.

    ``data_dir`` is where the broker keeps its data.
    """
    return msgspec.structs.replace(
        up,
        broker=msgspec.structs.replace(up.broker, port=free_port(), data_dir=str(data_dir)),
        agents=tuple(
            msgspec.structs.replace(entry, set=entry.set | {"metrics.port": free_port()})
            for entry in up.agents
        ),
    )


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on at this moment.

    It lies below those that Linux gives to outgoing connections, one of which could take it, and
    is none that this process was given lately and may not have come to use.
    """
    while True:
        port = _FIRST_PORT + next(_turns) % _PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _opened(log: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    if log is None:
        return contextlib.nullcontext()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("wb")
    except OSError as error:
        raise SettingsError(f"{log}: cannot be written ({error.strerror})") from error


def _end_with_parent() -> None:
    """Have this process, not yet the program that it is to be, end when its parent does."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _all_online(
    agents: Sequence[Agent], processes: Processes, timeout_s: float = 60.0
) -> None:
    """Return when every agent's retained status says online."""
    mqtt: MqttSettings = agents[0].settings.mqtt
    missing = {agent.settings.agent for agent in agents}
    complete = asyncio.Event()

    def hear(heard: HeardStatus) -> None:
        if heard.status is not None and heard.status.state == "online":
            missing.discard(heard.address.agent)
        if not missing:
            complete.set()

    bus = MqttBus(mqtt, f"recserve-up-{os.getpid()}")
    await StatusWatcher(bus, Topics(mqtt.root), hear).watch()
    await bus.start()
    ended = asyncio.create_task(processes.first_ended())
    online = asyncio.create_task(complete.wait())
    try:
        await asyncio.wait({ended, online}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise processes.failure(ended.result())
        if not online.done():
            raise ProcessFailed(f"not online after {timeout_s:g} s: {', '.join(sorted(missing))}")
    finally:
        ended.cancel()
        online.cancel()
        await bus.close()


def upward(tiers: Iterable[TierSettings]) -> tuple[str, ...]:
    """Return the names of tiers from the lowest up, as far as their settings lead."""
    upstream = {tier.name: tier.upstream for tier in tiers}
    uppers = set(upstream.values())
    found = [tier for tier in upstream if tier not in uppers][:1]
    while found and (above := upstream.get(found[-1])) and above not in found:
        found.append(above)
    return tuple(found)
