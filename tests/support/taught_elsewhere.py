"""An edge whose nights a cloud agent trains, each a process of its own, over a real Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.nights.folder import NightFolder
from shared.runtimes.onnx_embedder import OnnxEmbedder
from tests.support.deployed_agents import Process
from tests.support.embedders import write_embedder
from tests.support.processes import ROOT, BrokerProcess
from tests.support.tiny_models import write_bundle
from tests.support.tiny_nights import Learner, remember

if TYPE_CHECKING:
    from edge_agent.nights.folder import NightOutcome

_AWAKE: Final = """
import os

os.nice = lambda _: 0
if hasattr(os, "sched_setscheduler"):
    os.sched_setscheduler = lambda *_: None
"""
"""What trains gives way to whoever else wants the processor, and while tests run somebody does."""
_LONG_S: Final = 120.0


class NightSite:
    """A folder with an edge that wants to learn, and a cloud agent that can train."""

    def __init__(self, folder: Path, learner: Learner, broker: BrokerProcess, root: str) -> None:
        self.folder = folder
        self.nights = NightFolder(folder / "edge")
        self.lessons = folder / "cloud/lessons"
        self._learner = learner
        self._mqtt = {
            "port": broker.port,
            "root": root,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.2,
        }
        self._running: list[Process] = []
        embedder = OnnxEmbedder(str(write_embedder(folder / "embedder")))
        (folder / "edge").mkdir()
        asyncio.run(remember(folder / "edge", learner.new, embedder))
        write_bundle(folder / "bundle")
        (folder / "awake").mkdir()
        (folder / "awake/sitecustomize.py").write_text(_AWAKE)

    def edge(self, **night: Any) -> Process:
        """Start the edge, with these settings of its nights."""
        return self._start(*self._edge_command(night))

    def night(self) -> Process:
        """Start ``recserve night``, where no edge runs."""
        config = self._edge_command({})[-1]
        return self._start("-m", "recserve", "night", "--config", config)

    def _edge_command(self, night: dict[str, Any]) -> list[str]:
        chosen = self._learner.settings(trainer="cloud-1", watch_s=0.0, **night)
        return self._command(
            "edge",
            tier={"name": "edge", "upstream": "cloud", "policy": {"kind": "pass"}},
            model={"source": str(self._learner.bundle), "runtime": "genai", "threads": 1},
            memory={
                "embedder": str(self.folder / "embedder"),
                "tasks": ["generate"],
                "night": msgspec.to_builtins(chosen),
            },
        )

    def cloud(self, *bases: Path, **trainer: Any) -> Process:
        """Start the agent that trains, on these bases."""
        named = [str(base) for base in bases or (self._learner.base,)]
        command = self._command(
            "cloud",
            tier={"name": "cloud"},
            model={"source": str(self.folder / "bundle"), "threads": 1},
            trainer={"bases": named, **trainer},
        )
        return self._start(*command)

    async def outcome(self, number: int = 1) -> NightOutcome:
        """Return what came of a night, once it has ended."""
        for _ in range(int(_LONG_S / 0.1)):
            if (outcome := self.nights.outcome(number)) is not None:
                return outcome
            for process in self._running:
                assert process.running(), process.said
            await asyncio.sleep(0.1)
        raise AssertionError("\n".join(process.said for process in self._running))

    def lesson(self, name: str) -> Path:
        """Return a file of the only lesson that the trainer holds."""
        (folder,) = self.lessons.iterdir()
        return folder / name

    def killed(self, process: Process) -> None:
        """End a process and what it began, as kill -9 and the loss of power do."""
        began = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        for child in began:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        self._running.remove(process)

    def close(self) -> None:
        for process in self._running:
            process.kill()

    def _command(self, role: str, **settings: Any) -> list[str]:
        state = self.folder / role
        state.mkdir(exist_ok=True)
        more = {"agent": f"{role}-1", "mqtt": self._mqtt, "heartbeat_s": 0.5, "state": str(state)}
        config = self.folder / f"{role}.yaml"
        config.write_text(json.dumps(more | settings))
        return ["-m", f"{role}_agent", "--config", str(config)]

    def _start(self, *command: str) -> Process:
        path = f"{self.folder / 'awake'}:{ROOT}"
        process = Process([sys.executable, *command], self.folder, {"PYTHONPATH": path})
        self._running.append(process)
        return process
