"""Real brokers for tests, each a process of its own on a free port of loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from broker.start import BrokerSettings, choose, command
from experiments.testbed.processes import free_port
from shared.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["embedded", "mosquitto"]
ROOT = Path(__file__).parents[2]
_START_S = 20.0


def skip_without(kind: Kind) -> None:
    """Skip the test, saying why, where a kind of broker is not installed."""
    try:
        choose(kind)
    except RuntimeUnavailable as error:
        pytest.skip(str(error))


def skip_without_program(name: str, package: str) -> None:
    """Skip the test, naming the Debian package, where a program is not installed."""
    if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip(f"{name} is not installed (Debian: apt install {package})")


class BrokerProcess:
    """One broker that can be killed and started again on the same port."""

    def __init__(self, kind: Kind, folder: Path, *, extra: Sequence[str] = ()) -> None:
        skip_without(kind)
        self.kind = kind
        self.port = free_port()
        settings = BrokerSettings(kind=kind, port=self.port, data_dir=str(folder))
        self._command = command(settings)
        if extra:
            configuration = folder / "mosquitto.conf"
            text = configuration.read_text(encoding="utf-8")
            configuration.write_text(text + "\n".join(extra) + "\n", encoding="utf-8")
        self._errors = folder / "stderr.txt"
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> BrokerProcess:
        """Return when it accepts connections."""
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stderr=errors)
        give_up_s = time.monotonic() + _START_S
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up_s:
                self.kill()
                raise RuntimeError(f"{self._command}: {self._errors.read_text()}")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """End it politely."""
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Keep its connections open and answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None


def listens(port: int) -> bool:
    """Say whether somebody takes connections at a port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
