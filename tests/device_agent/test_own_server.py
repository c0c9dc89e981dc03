"""A device whose model runs at a server of its own: Ollama's or llama.cpp's on the same board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from device_agent import Device
from shared.messages import Failure
from shared.tasks.generate import Completion
from shared.telemetry.metrics import Metrics
from tests.support.cascades import device_settings
from tests.support.llama_server import llama_server
from tests.support.server_models import named
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("httpx2")


async def test_a_device_asks_its_own_server_and_says_so_when_that_is_gone(tmp_path: Path) -> None:
    wire = MemoryWire()
    with llama_server(tmp_path) as llama:
        settings = device_settings(wire, model=named(llama.url, in_flight=2))
        async with Device.open(settings, connect=wire.connect, metrics=Metrics()) as device:
            written = await device.ask("the valve sticks", task="generate")
            llama.kill()
            gone = await device.ask("the valve sticks", task="generate", timeout_s=20)

    assert isinstance(written.outcome, Completion)
    assert (written.tier, 0 < written.confidence < 0.5) == ("device", True)
    assert isinstance(gone.outcome, Failure)
    assert gone.outcome.code == "busy"
    assert "the model's server cannot be reached" in gone.outcome.reason
