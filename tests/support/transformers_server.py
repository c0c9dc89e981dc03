"""``transformers serve`` with a tiny language model, a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from experiments.testbed.processes import free_port
from tests.support.processes import ROOT, listens
from tests.support.tiny_generators import write_language_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S: Final = 110.0


@contextlib.contextmanager
def transformers_server(folder: Path) -> Iterator[tuple[str, str]]:
    """Run the server while the context lasts; gives its URL and the name of its model."""
    model = str(write_language_model(folder / "model"))
    port = free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (folder / "server.log").open("wb") as words:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=words, stderr=words)
    try:
        give_up_s = time.monotonic() + _START_S
        while not listens(port):
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < give_up_s, "transformers serve does not listen"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.kill()
        process.wait()
