"""What an agent counts, in Prometheus' terms; each agent has a registry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from shared.brokers import Address
from shared.errors import SettingsError
from shared.log import dropped_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.simple_server import WSGIServer

    from shared.settings import MetricsSettings

_LINKS = 8
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one agent."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._server: WSGIServer | None = None
        self._links: set[str] = set()
        self.prompts = Counter(
            "recserve_prompts",
            "Prompts judged, by what became of them (kept, escalated, degraded, failed).",
            ["tier", "task", "outcome"],
            registry=registry,
        )
        self.refused = Counter(
            "recserve_refused",
            "Messages and prompts not taken, by fault.",
            ["fault"],
            registry=registry,
        )
        self.link_bytes = Counter(
            "recserve_link_bytes",
            "Bytes of MQTT PUBLISH packets put on a link.",
            ["link", "direction"],
            registry=registry,
        )
        self.repeats = Counter(
            "recserve_repeats",
            "Prompts sent again after silence, and prompts and results that came twice.",
            ["kind"],
            registry=registry,
        )
        self.accepted = Counter(
            "recserve_accepted",
            "Prompts that this device took responsibility for.",
            registry=registry,
        )
        self.answered = Counter(
            "recserve_answered",
            "Their results, by kind (answer, degraded, failure, withdrawn).",
            ["kind"],
            registry=registry,
        )
        self.pending = Gauge(
            "recserve_pending", "Accepted prompts without a result.", registry=registry
        )
        self.unaccounted = Gauge(
            "recserve_unaccounted",
            "Accepted less answered less pending: anything but 0 is a fault.",
            registry=registry,
        )
        self.source_faults = Counter(
            "recserve_source_faults",
            "Prompts of a source that were not answered, by fault (dropped, unreadable, refused).",
            ["source", "fault"],
            registry=registry,
        )
        self.threshold = Gauge(
            "recserve_threshold",
            "Current threshold on the confidence.",
            ["tier", "task"],
            registry=registry,
        )
        self.policy = Gauge(
            "recserve_policy",
            "What the policy of a tier believes, by figure.",
            ["tier", "task", "figure"],
            registry=registry,
        )
        self.open_breakers = Gauge(
            "recserve_open_breakers",
            "Agents above that are passed over, or only tried, because they failed.",
            ["tier"],
            registry=registry,
        )
        self.waiting = Gauge("recserve_waiting_prompts", "Prompts that wait.", registry=registry)
        self.seconds = Histogram(
            "recserve_prompt_seconds",
            "Time from a prompt's arrival at this agent to its decision.",
            ["tier"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "recserve_queue_seconds",
            "Time that a prompt waited for the model's turn.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.batch_prompts = Histogram(
            "recserve_batch_prompts",
            "Prompts that the model ran together.",
            buckets=_BATCHES,
            registry=registry,
        )
        registry.register(_LogLines())

    def count_link(self, link: str, direction: Literal["up", "down"], packet_bytes: int) -> None:
        """Count a packet on a link.

        The tiers below are known only from what prompts say of themselves, so all links but the
        first few are counted as one.
        """
        if link not in self._links and len(self._links) >= _LINKS:
            link = "other"
        self._links.add(link)
        self.link_bytes.labels(link, direction).inc(packet_bytes)

    def serve(self, settings: MetricsSettings) -> None:
        """Serve ``/metrics`` if a port is set; raises ``SettingsError`` if it is taken."""
        if not settings.port:
            return
        try:
            self._server, _ = start_http_server(
                settings.port, settings.host, registry=self.registry
            )
        except OSError as error:
            where = Address(settings.host, settings.port)
            raise SettingsError(f"metrics: cannot listen on {where} ({error.strerror})") from error

    def close(self) -> None:
        """Stop serving ``/metrics``."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _LogLines(Collector):
    """What became of the log, which is one for all agents of a process."""

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return how many lines were dropped."""
        said = "Log lines of this process that could not be written."
        yield CounterMetricFamily("recserve_log_lines_dropped", said, value=dropped_lines())
