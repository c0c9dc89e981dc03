"""Starts what is deployed as processes of this machine, and watches them over the broker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from experiments.testbed.processes import free_port
from shared.bus.mqtt.bus import MqttBus
from shared.bus.mqtt.settings import MqttSettings
from shared.membership.status import Status, decode_status
from shared.wire.topics import Topics
from tests.support.tiny_models import write_bundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from shared.bus import Message

ROOT = Path(__file__).parents[2]
START_S = 30.0


def model_source(tier: str, folder: Path) -> dict[str, str]:
    """Return nothing where the tier's bundle is in the repository, else a tiny bundle's setting."""
    if (ROOT / f"models/bundles/sentiment-{tier}").is_dir():
        return {}
    return {"RECSERVE_MODEL__SOURCE": str(write_bundle(folder / "bundle").folder)}


def here(port: int, root: str) -> dict[str, str]:
    """Return the settings that differ on one machine: the broker's address, and free ports."""
    return {
        "RECSERVE_MQTT__HOST": "127.0.0.1",
        "RECSERVE_MQTT__PORT": str(port),
        "RECSERVE_MQTT__ROOT": root,
        "RECSERVE_METRICS__HOST": "127.0.0.1",
        "RECSERVE_METRICS__PORT": str(free_port()),
    }


def environment(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return a bare environment with these variables, where ``python`` is the one running."""
    python = folder / "bin/python"
    python.parent.mkdir(exist_ok=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    path = f"{python.parent}:{os.defpath}:/usr/sbin"
    return {"PATH": path, "HOME": str(folder), "TMPDIR": str(folder), **variables}


class Process:
    """A program with its standard error in a file."""

    def __init__(
        self, command: Sequence[str], folder: Path, variables: Mapping[str, str], cwd: Path = ROOT
    ) -> None:
        self.environment = environment(folder, variables)
        self._home = folder
        self._cwd = cwd
        self._errors = folder / f"stderr-{uuid4().hex[:6]}.txt"
        with self._errors.open("wb") as errors:
            self._popen = subprocess.Popen(
                command, env=self.environment, cwd=cwd, stderr=errors, stdin=subprocess.DEVNULL
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def said(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    @property
    def left_behind(self) -> list[Path]:
        """Files in the home folder's cache, where engines keep records of their use."""
        return [path for path in self._home.glob(".cache/**/*") if path.is_file()]

    def run_beside(self, command: Sequence[str]) -> int:
        """Run another program in the same environment and return its exit status."""
        return subprocess.run(command, env=self.environment, cwd=self._cwd, check=False).returncode

    def running(self) -> bool:
        return self._popen.poll() is None

    async def stop(self, within_s: float) -> int:
        """Send SIGTERM and return the exit status."""
        self._popen.terminate()
        return await asyncio.to_thread(self._popen.wait, within_s)

    def listening(self, port: int) -> Process:
        """Return when it accepts connections."""
        give_up_s = time.monotonic() + START_S
        while self.running() and time.monotonic() < give_up_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return self
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"nobody listens on {port}: {self.said}")

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()


class Presence:
    """The statuses of all agents below one root, as the broker tells them."""

    def __init__(self) -> None:
        self.statuses: dict[str, Status] = {}
        self._changed = asyncio.Event()

    def hear(self, message: Message) -> None:
        tier, agent = message.topic.split("/")[-2:]
        self.statuses[f"{tier}/{agent}"] = decode_status(message.payload)
        self._changed.set()

    async def wait_for(self, tier: str, state: str, process: Process | None = None) -> str:
        """Return the name of the first agent of a tier with this state; notice a dead process."""
        for _ in range(int(START_S / 0.1)):
            for name, status in self.statuses.items():
                if name.startswith(f"{tier}/") and status.state == state:
                    return name.removeprefix(f"{tier}/")
            assert process is None or process.running(), process.said
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.1)
        raise AssertionError(f"no agent of the tier {tier} became {state}")


@contextlib.asynccontextmanager
async def presence(port: int, root: str) -> AsyncIterator[Presence]:
    """Watch the agents below a root."""
    bus = MqttBus(MqttSettings(port=port, root=root), f"watcher-{uuid4().hex[:8]}")
    watched = Presence()

    def hear(message: Message) -> None:
        bus.acknowledge(message)
        watched.hear(message)

    await bus.start()
    try:
        await bus.wait_connected(START_S)
        await bus.subscribe(Topics(root).status("+", "+"), hear)
        yield watched
    finally:
        await bus.close()
