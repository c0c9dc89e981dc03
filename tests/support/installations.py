"""``recserve up`` as a process with the committed models, and commands as a person types them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from experiments.testbed.processes import free_port
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def recserve(
    *words: str, stdin: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command as a person types it."""
    return subprocess.run(
        [sys.executable, "-m", "recserve", *words],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | (environment or {}),
    )
