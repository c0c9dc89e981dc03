"""What an agent shows on its page is read as Prometheus reads it."""

from __future__ import annotations

import pytest

from experiments.testbed.processes import free_port
from experiments.testbed.scrape import page_of, samples_at, scrape
from shared.telemetry.metrics import Metrics, MetricsSettings


def test_the_samples_are_those_that_the_agent_counted() -> None:
    metrics, port = Metrics(), free_port()
    metrics.serve(MetricsSettings(port=port))
    metrics.count_link("device-edge", "up", 120)
    try:
        samples = samples_at(port)
        families = {family.name for family in scrape(page_of(port))}
    finally:
        metrics.close()

    (bytes_up,) = [s for s in samples if s.name == "recserve_link_bytes_total"]
    assert (bytes_up.value, bytes_up.labels) == (120, {"link": "device-edge", "direction": "up"})
    assert "recserve_link_bytes" in families


def test_an_agent_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="refused"):
        scrape(page_of(free_port()))
