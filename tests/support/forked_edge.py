"""Runs an edge agent in a child process for each line it is given: all is imported by then.

A process of its own, killed as any other, without the seconds that loading takes each time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path


class ForkedEdge:
    """Starts lives of an edge agent with one settings file."""

    def __init__(self, config: Path) -> None:
        self._life = 0
        self._errors = config.with_suffix(".stderr").open("wb")
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked_edge", str(config)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def start(self) -> None:
        """Begin a life, once the one before has ended."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        self._life = int(self._parent.stdout.readline())

    def kill(self) -> None:
        """End a life at once, as kill -9 does."""
        if self._life:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._life, signal.SIGKILL)
            self._life = 0

    def close(self) -> None:
        """Begin no more lives."""
        self.kill()
        self._parent.kill()
        self._parent.communicate()
        self._errors.close()


def _main() -> None:
    import shared.runtimes.onnx_classifier  # noqa: F401, PLC0415
    from edge_agent.command import command  # noqa: PLC0415

    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            command(["--config", sys.argv[1]])
        print(child, flush=True)  # noqa: T201 - read by whoever started us
        os.waitpid(child, 0)


if __name__ == "__main__":
    _main()
