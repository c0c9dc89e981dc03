"""Runs the very commands of compose.yaml and of the systemd units, on this machine.

Containers and units are left out: paths in the image are those of the repository, the broker's
address is loopback, and ports are free ones. Everything else is as deployed.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from experiments.testbed.processes import free_port
from tests.support.deploy_files import (
    UNITS,
    compose,
    dockerfile,
    image_environment,
    seconds,
    unit,
    variables,
)
from tests.support.deployed_agents import ROOT, Process, here, model_source, presence
from tests.support.processes import skip_without, skip_without_program

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
AGENTS = [name for name, service in SERVICES.items() if "build" in service]


class Broker(NamedTuple):
    """A broker that runs, and its port."""

    process: Process
    port: int

    @classmethod
    def start(cls, folder: Path) -> Broker:
        """Start the broker of compose.yaml as configured, but for address and folder."""
        skip_without("mosquitto")
        port = free_port()
        text = (ROOT / "broker/compose.conf").read_text(encoding="utf-8")
        text = text.replace("listener 1883", f"listener {port} 127.0.0.1")
        text = text.replace("/mosquitto/data/", f"{folder}/").replace("persistence true", "")
        (folder / "mosquitto.conf").write_text(text, encoding="utf-8")
        program, option, _ = SERVICES["broker"]["command"]
        command = [Path(program).name, option, str(folder / "mosquitto.conf")]
        return cls(Process(command, folder, {}).listening(port), port)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the broker listens; every test has a topic root of its own."""
    broker = Broker.start(tmp_path_factory.mktemp("broker"))
    yield broker.port
    broker.process.kill()


async def come_and_go(
    process: Process, tier: str, port: int, root: str, within_s: float, *, health: list[str]
) -> str:
    """Hold a process to its life: online, healthy, asked to stop, offline, status 0."""
    try:
        async with presence(port, root) as agents:
            name = await agents.wait_for(tier, "online", process)
            assert not health or process.run_beside(health) == 0
            assert await process.stop(within_s) == 0, process.said
            assert await agents.wait_for(tier, "offline") == name
            assert not process.left_behind, "an engine keeps a record of its use"
            return name
    finally:
        process.kill()


@pytest.mark.parametrize("service", AGENTS)
async def test_an_agent_of_the_compose_file_comes_online_and_leaves_in_time(
    service: str, port: int, tmp_path: Path
) -> None:
    target = SERVICES[service]["build"]["target"]
    root = f"t-{uuid4().hex[:8]}"
    settings = image_environment(target) | SERVICES[service]["environment"]
    settings |= here(port, root) | model_source(target, tmp_path)
    process = Process(SERVICES[service]["command"], tmp_path, settings)
    (health,) = dockerfile()["agent"].each("HEALTHCHECK")
    name = await come_and_go(
        process,
        target,
        port,
        root,
        seconds(SERVICES[service]["stop_grace_period"]),
        health=health_command(health.rest),
    )
    expected = SERVICES[service]["environment"].get("RECSERVE_AGENT")
    assert name == expected if expected else name.startswith(f"{target}-")


@pytest.mark.parametrize("tier", ["device", "edge", "cloud"])
async def test_an_agent_of_a_unit_comes_online_and_leaves_in_time(
    tier: str, port: int, tmp_path: Path
) -> None:
    service = unit(UNITS / f"recserve-{tier}.service")["Service"]
    python, *arguments = shlex.split(service["ExecStart"][0])
    assert python == "/opt/recserve/.venv/bin/python"
    command = [sys.executable, *(word.replace("/opt/recserve", str(ROOT)) for word in arguments)]
    root = f"t-{uuid4().hex[:8]}"
    settings = variables((UNITS / f"{tier}.env.example").read_text(encoding="utf-8"))
    agent = settings["RECSERVE_AGENT"]
    settings |= here(port, root) | model_source(tier, tmp_path)
    settings |= variables("\n".join(service["Environment"]).replace(" ", "\n"))
    # systemd starts services in the root folder.
    process = Process(command, tmp_path, settings, cwd=Path("/"))
    within_s = float(service["TimeoutStopSec"][0])
    assert await come_and_go(process, tier, port, root, within_s, health=[]) == agent


async def test_the_broker_is_healthy_while_it_runs_and_not_after(
    tmp_path: Path,
) -> None:
    skip_without_program("mosquitto_sub", "mosquitto-clients")
    process, port = Broker.start(tmp_path)
    word, *check = SERVICES["broker"]["healthcheck"]["test"]
    assert word == "CMD"
    check[1:1] = ["-p", str(port)]
    try:
        assert process.run_beside(check) == 0
    finally:
        process.kill()
    assert process.run_beside(check) != 0


async def test_an_agent_that_hangs_is_not_healthy(tmp_path: Path) -> None:
    (health,) = dockerfile()["agent"].each("HEALTHCHECK")
    nobody = Process(["true"], tmp_path, {"RECSERVE_METRICS__PORT": str(free_port())})
    assert nobody.run_beside(health_command(health.rest)) != 0
    nobody.kill()


def health_command(rest: str) -> list[str]:
    """Return the command of a ``HEALTHCHECK`` instruction."""
    words = rest.partition("CMD ")[2]
    command: list[str] = json.loads(words)
    return command
