"""A device whose accounts are open, and a log with a traceback, must be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.accounts import open_accounts, sent_again, tracebacks
from experiments.testbed.processes import free_port
from shared.telemetry.metrics import Metrics, MetricsSettings

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_device_with_a_pending_prompt_is_named() -> None:
    metrics, port = Metrics(), free_port()
    metrics.serve(MetricsSettings(port=port))
    try:
        assert await open_accounts({"device-1": port}, 0.0) == []
        metrics.pending.set(2)
        assert await open_accounts({"device-1": port}, 0.0) == [
            "device-1: recserve_pending is 2 at the end"
        ]
    finally:
        metrics.close()


async def test_repeats_upwards_are_added_up_and_others_are_not() -> None:
    ports = []
    agents = [Metrics(), Metrics()]
    try:
        for number, metrics in enumerate(agents, 1):
            ports.append(free_port())
            metrics.serve(MetricsSettings(port=ports[-1]))
            metrics.repeats.labels("retry").inc(number)
            metrics.repeats.labels("ask").inc(10)
        assert await sent_again(ports) == 3
    finally:
        for metrics in agents:
            metrics.close()


def test_that_a_model_raised_was_thought_of(tmp_path: Path) -> None:
    line = '{"event":"the model raised","exception":"Traceback (most recent call last):"}'
    (tmp_path / "edge-1.log").write_text(line + "\n")
    assert tracebacks(tmp_path) == []


def test_a_log_with_a_traceback_is_named(tmp_path: Path) -> None:
    (tmp_path / "edge-1.log").write_text('{"event":"broker lost"}\n')
    (tmp_path / "edge-2.log").write_text("Traceback (most recent call last):\n")
    assert tracebacks(tmp_path) == ["edge-2.log holds a traceback"]
