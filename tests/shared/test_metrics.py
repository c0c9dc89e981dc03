"""What an agent counts has few and bounded labels, names that Prometheus likes, and a port."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client import generate_latest

from shared.errors import SettingsError
from shared.metrics import Metrics
from shared.settings import MetricsSettings
from tests.processes import free_port


def test_every_metric_is_named_for_what_it_is_in() -> None:
    endings: dict[str, tuple[str, ...]] = {
        "counter": ("",),
        "gauge": ("",),
        "histogram": ("_seconds", "_prompts"),
    }
    for family in Metrics().registry.collect():
        assert family.name.startswith("recserve_")
        assert family.documentation.endswith(".")
        assert family.name.endswith(endings[family.type])


def test_two_agents_in_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.refused.labels("busy").inc()
    assert one.registry.get_sample_value("recserve_refused_total", {"fault": "busy"}) == 1
    assert two.registry.get_sample_value("recserve_refused_total", {"fault": "busy"}) is None


def test_links_that_prompts_make_up_do_not_grow_the_metrics() -> None:
    metrics = Metrics()
    for number in range(1_000):
        metrics.count_link(f"made-up-{number}", "down", 10)
    metrics.count_link("made-up-0", "up", 5)

    def counted(link: str, direction: str) -> float | None:
        labels = {"link": link, "direction": direction}
        return metrics.registry.get_sample_value("recserve_link_bytes_total", labels)

    assert counted("made-up-0", "down") == 10
    assert counted("made-up-0", "up") == 5
    assert counted("other", "down") == 10 * (1_000 - 8)
    assert len(generate_latest(metrics.registry)) < 10_000


def test_metrics_are_served_until_closed() -> None:
    metrics, port = Metrics(), free_port()
    metrics.refused.labels("busy").inc()
    metrics.serve(MetricsSettings(port=port))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b'recserve_refused_total{fault="busy"} 1.0' in answer.read()

    metrics.close()
    metrics.close()

    again = Metrics()
    again.serve(MetricsSettings(port=port))
    again.close()


def test_without_a_port_nothing_is_served() -> None:
    metrics = Metrics()
    metrics.serve(MetricsSettings())
    assert metrics._server is None


def test_a_port_that_is_taken_stops_the_start() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"metrics: cannot listen on 127\.0\.0\.1:{port}"):
            Metrics().serve(MetricsSettings(port=port))
