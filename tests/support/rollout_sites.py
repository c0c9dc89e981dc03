"""Sites for rollouts: broker, centre, edges and cloud as processes, and prompts all the time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import msgspec
from click.testing import CliRunner

from device_agent import Device
from experiments.testbed.processes import free_port
from recserve.center_client import CenterClient, CenterRefused
from recserve.cli import main
from shared.agent.settings import TierSettings
from shared.cascade.policies import PassAll
from shared.messages import Failure
from shared.nodes.signing import ManifestSigner, new_key
from shared.runtimes import ModelSettings
from shared.telemetry.metrics import Metrics
from tests.support.cascades import device_settings
from tests.support.deployed_agents import Process
from tests.support.processes import ROOT
from tests.support.tiny_models import LABELS, write_bundle
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from shared.runtimes.bundle import Bundle
    from tests.support.wires import MqttWire

EDGES = ("edge-1", "edge-2", "edge-3")
WEIGHTS = {"good": 2.0, "bad": -2.0, "film": 0.31, "soup": -0.37, "very": 0.17, "not": -0.23}
PATIENCE_S = 60.0


def bundle(
    folder: Path, name: str, *, inverted: bool = False, labels: tuple[str, ...] = LABELS
) -> Bundle:
    """Write a bundle of these weights; one that is inverted is as sure of the other label."""
    words = {word: (int((weight > 0) != inverted), abs(weight)) for word, weight in WEIGHTS.items()}
    return write_bundle(folder / "made" / name, name=name, words=words, labels=labels)


class RolloutSite:
    """The processes, the page, and what became of the prompts."""

    def __init__(self, wire: MqttWire, folder: Path) -> None:
        self.wire, self.folder = wire, folder
        self.processes: dict[str, Process] = {}
        self.answered = self.failed = self.degraded = 0
        self._port = free_port()
        self._client = CenterClient(f"http://127.0.0.1:{self._port}")

    # -- processes -------------------------------------------------------------------------------

    def start_center(self) -> None:
        """Start it, anew if it was killed."""
        self._start(
            "center",
            {
                "name": "center",
                "state": str(self.folder / "center"),
                "authority": str(self.folder / "models.pub"),
                "web": {"port": self._port},
                "telemetry_s": 0.2,
                "lease_s": 3.0,
            },
        )

    def start_agent(self, role: str, name: str, **node: Any) -> None:
        tier: dict[str, Any] = {"name": role}
        if role == "edge":
            policy = {"kind": "quantile", "beta": 0.5, "prior_prompts": 0}
            tier |= {"upstream": "cloud", "policy": policy}
        authority = str(self.folder / "models.pub")
        settings = {
            "agent": name,
            "tier": tier,
            "model": {"source": str(self.folder / "made/own")},
            "heartbeat_s": 0.5,
            "state": str(self.folder / name),
            "node": {"authority": authority, "reserve_megabytes": 0, **node},
        }
        self._start(role, settings, name)

    def _start(self, command: str, settings: dict[str, Any], name: str = "center") -> None:
        mqtt = {"port": self.wire.broker.port, "root": self.wire.root, "reconnect_max_s": 0.5}
        config = self.folder / f"{name}.yaml"
        config.write_bytes(msgspec.yaml.encode(settings | {"mqtt": mqtt}))
        line = ["python", "-m", "recserve", command, "--config", str(config)]
        home = self.folder / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        self.processes[name] = Process(line, home, {"PYTHONPATH": str(ROOT)})

    # -- the centre ------------------------------------------------------------------------------

    async def says(self, *words: str) -> str:
        """Run a command of ours against the centre."""
        where = ("--center", f"http://127.0.0.1:{self._port}")
        token = ("--token-file", str(self.folder / "center/token"))
        line = [*words, *where, *token]
        result = await asyncio.to_thread(CliRunner().invoke, main, line)
        assert result.exit_code == 0, result.output
        return result.output

    async def push(self, made: Bundle, *flags: str) -> None:
        key = str(self.folder / "models.key")
        await self.says("models", "push", str(made.folder), "--key", key, *flags)

    async def asked(self, path: str) -> dict[str, Any]:
        """Return what the page says; nothing while there is no centre."""
        with contextlib.suppress(CenterRefused):
            told: dict[str, Any] = await asyncio.to_thread(self._client.get, path)
            return told
        return {}

    async def until(self, path: str, holds: Callable[[dict[str, Any]], bool], what: str) -> Any:
        """Return what the page says once that ``holds``."""
        told: dict[str, Any] = {}
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + PATIENCE_S
        while not (told := await self.asked(path)) or not holds(told):
            said = {name: process.said[-2000:] for name, process in self.processes.items()}
            assert loop.time() < give_up_s, f"{what}: {told.get('says', told)}\n{said}"
            await asyncio.sleep(0.1)
        return told

    async def ends(self, phase: str) -> str:
        """Return why a rollout came to a phase."""

        def does(told: dict[str, Any]) -> bool:
            return (told["rollout"] or {}).get("phase") == phase

        said: str = (await self.until("/api/rollout", does, f"a rollout that is {phase}"))["says"]
        return said

    async def lives(self, name: str, life: str) -> None:
        """Return once an agent is alive, or dead."""

        def does(told: dict[str, Any]) -> bool:
            return (name, life) in {(a["name"], a["life"]) for a in told["agents"]}

        await self.until("/api/fleet", does, f"{name} is {life}")

    async def serve(self, digests: dict[str, str]) -> None:
        """Return once agents serve these bundles; empty: their own."""
        await self._states("active", digests, "bundles")

    async def go_by(self, settings: dict[str, dict[str, str]]) -> None:
        """Return once agents go by these settings over their own."""
        await self._states("settings", settings, "settings")

    async def phase(self, name: str, phase: str) -> dict[str, Any]:
        """Return an agent's state once it is in a phase."""

        def does(told: dict[str, Any]) -> bool:
            return bool(told["states"].get(name, {}).get("phase") == phase)

        told = await self.until("/api/models", does, f"{name} is {phase}")
        state: dict[str, Any] = told["states"][name]
        return state

    async def _states(self, field: str, wanted: dict[str, Any], what: str) -> None:
        def does(told: dict[str, Any]) -> bool:
            states = told["states"]
            return all(
                (states.get(name, {}).get(field) or type(value)()) == value
                for name, value in wanted.items()
            )

        await self.until("/api/models", does, f"{what} {wanted}")

    # -- prompts ---------------------------------------------------------------------------------

    async def ask(self, device: Device) -> None:
        """Ask until cancelled, and count what comes back."""
        draw = random.Random(3)
        while True:
            texts = [" ".join(draw.choices([*WEIGHTS], k=draw.randint(2, 6))) for _ in range(4)]
            for result in await asyncio.gather(*(device.ask(text, timeout_s=30) for text in texts)):
                self.failed += isinstance(result.outcome, Failure)
                self.degraded += bool(result.degraded)
                self.answered += 1
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def rollout_site(
    wire: MqttWire, folder: Path, *, node: Mapping[str, Any] | None = None
) -> AsyncIterator[RolloutSite]:
    """Run it all, edges with these settings of ``node``; their own bundle may be made before."""
    key = new_key()
    (folder / "models.key").write_bytes(key)
    (folder / "models.pub").write_bytes(ManifestSigner(key).public)
    own = folder / "made/own"
    if not own.exists():
        bundle(folder, "own")
    site = RolloutSite(wire, folder)
    settings = device_settings(
        wire,
        tier=TierSettings(name="device", policy=PassAll(), upstream="edge"),
        model=ModelSettings(source=str(own)),
        mqtt=wire.settings(),
    )
    try:
        site.start_center()
        site.start_agent("cloud", "cloud-1")
        for name in EDGES:
            site.start_agent("edge", name, **(node or {}))
        async with Device.open(settings, connect=wire.connect, metrics=Metrics()) as device:
            everybody = {"cloud-1", *EDGES}
            await site.until(
                "/api/fleet",
                lambda told: (
                    everybody
                    <= {
                        a["name"]
                        for a in told["agents"]
                        if a["life"] == "alive" and a["state"] is not None
                    }
                ),
                "everybody",
            )
            asking = asyncio.ensure_future(site.ask(device))
            await eventually(lambda: site.answered > 40, "answers", PATIENCE_S)
            site.failed = site.degraded = 0  # whatever came before everybody knew everybody
            yield site
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    finally:
        for process in site.processes.values():
            process.kill()
