"""A running installation: ``recserve up`` as a process, with the committed models."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.testbed.processes import free_port

ROOT = Path(__file__).parents[2]

UP = """
broker: {{kind: auto, port: {port}, data_dir: {folder}/broker}}
agents:
  - {{role: device, config: {configs}/device.yaml, name: device-1}}
  - {{role: edge, config: {configs}/edge.yaml}}
  - {{role: cloud, config: {configs}/cloud.yaml}}
"""


class Installation(NamedTuple):
    """Where a running installation listens, and the process that holds it."""

    port: int
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_up(folder: Path) -> Iterator[Installation]:
    """Run ``recserve up`` until the context ends; ready when this yields."""
    port = free_port()
    config = folder / "up.yaml"
    config.write_text(UP.format(port=port, folder=folder, configs=ROOT / "configs"))
    log = folder / "up.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "recserve", "up", "--config", str(config)],
            cwd=ROOT,
            stderr=stderr,
        )
    try:
        _wait_until_up(process, log)
        yield Installation(port, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_up(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and process.poll() is None:
        if " is up on " in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"recserve up did not come up: {log.read_text()}")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running_up(tmp_path_factory.mktemp("up")) as up:
        yield up
