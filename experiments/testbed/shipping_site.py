"""A broker, a centre and nodes as processes, which bundles are shipped to and which are killed.

The centre and its keys are made anew; a node is an edge agent that answers all that it is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.start import BrokerSettings
from broker.start import command as broker_command
from experiments.testbed.processes import (
    AgentEntry,
    ProcessFailed,
    UpSettings,
    free_port,
    on_free_ports,
    read_agents,
    running,
    wait_for_port,
)
from shared.errors import BundleError
from shared.nodes.signing import ManifestSigner, new_key
from shared.runtimes.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from experiments.testbed.counted_wire import CountedWire
    from experiments.testbed.processes import Agent, Processes

NODE: Final = "edge-1"
THREE: Final = (NODE, "edge-2", "edge-3")
_ROOT: Final = Path(__file__).parents[2]
CONFIGS: Final = _ROOT / "configs"
_BROKER: Final = BrokerSettings(kind="mosquitto")
_MODEL: Final = _ROOT / "models/bundles/sentiment-device"
_LOOK_S: Final = 0.1
_LIMIT_S: Final = 300.0


def make_bundle(folder: Path, size_bytes: int, seed: int) -> Bundle:
    """Write a bundle of a size: the model of the demo's devices, and a file of random bytes."""
    shutil.copytree(_MODEL, folder)
    model = Bundle.open(folder)
    rest = size_bytes - sum(file.stat().st_size for file in folder.iterdir())
    draw = Random(seed)  # noqa: S311 - bytes that no two bundles share
    with (folder / "ballast.bin").open("wb") as file:
        for at in range(0, rest, 1 << 20):
            file.write(draw.randbytes(min(1 << 20, rest - at)))
    manifest = msgspec.structs.replace(model.manifest, name=f"shipped-{seed}")
    return Bundle.write(folder, manifest)


@dataclass
class ShippedSite:
    """Processes that run, and the page of the centre."""

    folder: Path
    up: UpSettings
    nodes: dict[str, Agent]
    page: int
    processes: Processes

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        folder: Path,
        wire: CountedWire | None = None,
        *,
        names: Sequence[str] = (NODE,),
        origin: CountedWire | None = None,
        share_from: int = 2,
    ) -> AsyncIterator[ShippedSite]:
        """Run all of it.

        Whatever comes to a node goes over ``wire``, and whatever the centre sends over ``origin``,
        if there is one.
        """
        key = new_key()
        (folder / "models.key").write_bytes(key)
        (folder / "models.pub").write_bytes(ManifestSigner(key).public)
        entries = tuple(_entry(folder, name) for name in names)
        up = on_free_ports(UpSettings(broker=_BROKER, agents=entries), folder / "broker")
        page, broker, blobs = free_port(), up.broker.port, ""
        if wire is not None:
            blobs = f"http://127.0.0.1:{await wire.to(page)}"
            further = {"mqtt.port": await wire.to(broker)}
            moved = [msgspec.structs.replace(agent, set=agent.set | further) for agent in up.agents]
            up = msgspec.structs.replace(up, agents=tuple(moved))
        if origin is not None:
            blobs = f"http://127.0.0.1:{await origin.to(page)}"
            broker = await origin.to(broker, up=True)
        agents = read_agents(up)
        logs = folder / "logs"
        async with running(up.broker, agents, logs) as processes:
            nodes = {agent.settings.agent: agent for agent in agents}
            site = cls(folder, up, nodes, page, processes)
            line = site._center(broker, blobs, share_from)
            await processes.start("center", line, logs / "center.log")
            try:
                await wait_for_port("127.0.0.1", page, processes)
                await site.until(site._known, "the centre knows the nodes")
                yield site
            finally:
                await processes.stop("center")

    async def push(self, bundle: Bundle) -> None:
        """Sign a bundle and bring it to the centre, as its owner would."""
        pushing = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "recserve", "models", "push", str(bundle.folder)),
            *("--key", f"{self.folder}/models.key", "--center", f"http://127.0.0.1:{self.page}"),
            *("--token-file", f"{self.folder}/center/token"),
            cwd=_ROOT, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        if await pushing.wait():
            raise ProcessFailed("recserve models push did not bring the bundle to the centre")

    async def want(self, bundle: Bundle, of: str = NODE) -> None:
        """Have a node, or all that a pattern names, serve a bundle that is at the centre."""
        order = {"to": of, "bundle": bundle.digest}
        await asyncio.to_thread(self._ask, "POST", "/api/assign", order)

    async def comes(self, bundle: Bundle, *phases: str) -> None:
        """Return when every node says that it is in one of these phases with a bundle."""

        def is_there(name: str, state: dict[str, Any]) -> bool:
            if state.get("phase") in ("refused", "rolled back"):
                raise ProcessFailed(f"{name}: {state['phase']}: {state.get('detail')}")
            return state.get("wanted") == bundle.digest and state.get("phase") in phases

        def there() -> bool:
            states = self._ask("GET", "/api/models")["states"]
            return all(is_there(name, states.get(name, {})) for name in self.nodes)

        await self.until(there, f"the bundle is {' or '.join(phases)} at {', '.join(self.nodes)}")

    def kill(self, name: str) -> None:
        """End a process at once, with nothing said to it."""
        os.kill(self.processes.pids()[name], signal.SIGKILL)

    async def start_again(self, name: str) -> None:
        """Start a node, or the broker, that was killed."""
        await self.processes.ended(name)
        line = broker_command(self.up.broker) if name == "broker" else self.nodes[name].command
        await self.processes.start(name, line, self.folder / "logs" / f"{name}-again.log")

    def check_held(self, bundle: Bundle) -> None:
        """Hold every file of a bundle, as each node serves it, against its hash.

        Raises ``BundleError``, also where it is another one than its place says.
        """
        for name in self.nodes:
            held = Bundle.open(self.folder / name / "models/bundles" / bundle.digest)
            if held.digest != bundle.digest:
                raise BundleError(f"{held.folder}: holds {held.digest}")

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return when something holds, which is looked at in a thread. Raises ``ProcessFailed``."""
        give_up_s = time.monotonic() + _LIMIT_S
        while not await asyncio.to_thread(holds):
            if time.monotonic() > give_up_s:
                raise ProcessFailed(f"not after {_LIMIT_S:g} s: {what}")
            await asyncio.sleep(_LOOK_S)

    def _known(self) -> bool:
        agents = self._ask("GET", "/api/fleet")["agents"]
        return self.nodes.keys() <= {agent["name"] for agent in agents if agent["report"]}

    def _ask(self, method: str, path: str, value: Any = None) -> Any:
        token = (self.folder / "center/token").read_text(encoding="utf-8").strip()
        connection = http.client.HTTPConnection("127.0.0.1", self.page, timeout=30)
        try:
            body = None if value is None else msgspec.json.encode(value)
            connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            told = msgspec.json.decode(answer.read())
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise ProcessFailed(f"the centre refuses {path}: {told.get('error', answer.status)}")
        return told

    def _center(self, broker: int, blobs: str, share_from: int) -> list[str]:
        settings = {
            "mqtt.port": str(broker),
            "share_from": str(share_from),
            "web.port": str(self.page),
            "web.url": blobs,
            "state": f"{self.folder}/center",
            "authority": f"{self.folder}/models.pub",
            "log.level": "warning",
        }
        flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        config = str(CONFIGS / "center.yaml")
        return [sys.executable, "-m", "recserve", "center", "-c", config, *flags]


def _entry(folder: Path, name: str) -> AgentEntry:
    return AgentEntry(
        role="edge",
        config=str(CONFIGS / "edge.yaml"),
        name=name,
        set={
            "tier.policy": {"kind": "keep"},
            "state": f"{folder}/{name}",
            "node.authority": f"{folder}/models.pub",
            "log.level": "warning",
        },
    )
