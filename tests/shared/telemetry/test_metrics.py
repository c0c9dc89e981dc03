"""What an agent counts has few and bounded labels, names that Prometheus likes, and a port."""

from __future__ import annotations

import re
import socket
import urllib.request
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from prometheus_client import generate_latest

from experiments.testbed.processes import free_port
from shared.errors import PromptError, SettingsError
from shared.telemetry.log import dropped_lines
from shared.telemetry.metrics import Metrics, MetricsSettings
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from shared.telemetry.described import Described

ENDINGS: dict[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_seconds", "_prompts"),
    "info": ("_info",),
}


@pytest.mark.parametrize("metric", Metrics().described, ids=lambda metric: metric.name)
def test_every_metric_is_named_for_what_it_is_in_and_says_what_it_is(metric: Described) -> None:
    assert metric.name.startswith("recserve_")
    assert metric.name.endswith(ENDINGS[metric.type])
    assert metric.meaning.endswith(".")
    assert all(metric.labels.values())


def test_everything_on_the_page_is_described_or_of_the_process() -> None:
    described = {metric.name.removesuffix("_total") for metric in Metrics().described}
    for family in Metrics().registry.collect():
        name = f"{family.name}_info" if family.type == "info" else family.name
        assert name in described or name.startswith(("process_", "python_"))


def test_the_page_shows_the_process_and_what_runs_in_it() -> None:
    metrics = Metrics()
    metrics.introduce("pi-attic", "device", "three-words", "0123abcd")

    page = generate_latest(metrics.registry).decode()

    assert f'version="{version("recserve")}"' in page
    assert 'agent="pi-attic"' in page
    assert "\nprocess_resident_memory_bytes " in page
    assert "\nprocess_cpu_seconds_total " in page


def test_the_model_before_leaves_no_series_behind() -> None:
    metrics = Metrics()
    metrics.introduce("edge-1", "edge", "old", "0123")
    metrics.introduce("edge-1", "edge", "new", "4567")

    page = generate_latest(metrics.registry).decode()

    assert page.count("\nrecserve_info{") == 1
    assert 'bundle="4567"' in page


def test_no_counter_and_no_histogram_has_a_second_series_for_when_it_began() -> None:
    metrics = Metrics()
    metrics.refused.labels("busy").inc()
    metrics.count_answer("edge", 0.2, degraded=False)

    assert b"_created" not in generate_latest(metrics.registry)


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


@pytest.mark.parametrize(
    ("metric", "counted"),
    [
        ("recserve_source_faults_total", r'\.fault\(\s*"([^"]+)"'),
        ("recserve_refused_total", r'\.refused\.labels\("([^"]+)"'),
        ("recserve_repeats_total", r'\.repeats\.labels\("([^"]+)"'),
        ("recserve_answered_total", r'\._count\("([^"]+)"\)\n'),
    ],
)
def test_every_value_that_the_code_puts_into_a_label_is_on_the_page(
    metric: str, counted: str
) -> None:
    (labels,) = [each.labels for each in Metrics().described if each.name == metric]
    told = set(re.findall(r"`([^`]+)`", " ".join(labels.values())))
    folders = [ROOT / "shared", ROOT / "device_agent"]
    code = "".join(file.read_text() for folder in folders for file in folder.rglob("*.py"))
    values = set(re.findall(counted, code))

    assert values
    assert values <= told


def test_every_code_of_a_refusal_is_on_the_page() -> None:
    (labels,) = [
        each.labels for each in Metrics().described if each.name == "recserve_refused_total"
    ]
    codes = {error.code for error in PromptError.__subclasses__()}

    assert codes <= set(re.findall(r"`([^`]+)`", labels["fault"]))


def test_tiers_that_answers_make_up_do_not_grow_the_metrics() -> None:
    metrics = Metrics()
    for number in range(1_000):
        metrics.count_answer(f"made-up-{number}", 0.1, degraded=number % 2 == 0)

    others = {"tier": "other", "degraded": "yes"}
    counted = metrics.registry.get_sample_value("recserve_answer_seconds_count", others)
    assert counted == (1_000 - 8) / 2


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


def test_log_lines_that_were_dropped_are_counted_for_the_whole_process() -> None:
    dropped = [Metrics().registry.get_sample_value("recserve_log_lines_dropped_total")] * 2

    assert dropped == [dropped_lines()] * 2
