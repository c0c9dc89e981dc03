"""What an agent counts, as the centre gets it: read from its own metrics, never counted twice."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, Protocol

from shared.nodes.machine import memory_in_use, temperature_c
from shared.wire.control import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.samples import Sample

    from shared.telemetry.metrics import Metrics

_HIGH: Final = 0.95


class ModelQueue(Protocol):
    """What the batcher says of its queue."""

    @property
    def waiting(self) -> int:
        """Prompts that wait or are being answered."""

    @property
    def wait_s(self) -> float:
        """How long the model takes for these."""

    @property
    def service_s(self) -> float:
        """How long it takes for one."""


class TelemetryReader:
    """Reads one agent's metrics; times and shares are those since the reading before."""

    def __init__(self, metrics: Metrics, queue: ModelQueue) -> None:
        self._metrics = metrics
        self._queue = queue
        self._started_s = self._read_s = time.monotonic()
        self._cpu_s = _cpu_s()
        self._buckets: dict[float, float] = {}
        self._sum_s = 0.0

    def read(self) -> Telemetry:
        """Return what there is to say now."""
        outcomes = _by(self._metrics.prompts.collect(), "outcome")
        agreed = _by(self._metrics.compared.collect(), "agreed")
        mean_ms, p95_ms = self._latency()
        now_s, cpu_s = time.monotonic(), _cpu_s()
        elapsed_s = max(now_s - self._read_s, 1e-3)
        share, self._read_s, self._cpu_s = (cpu_s - self._cpu_s) / elapsed_s, now_s, cpu_s
        links: dict[str, int] = {}
        for sample in _samples(self._metrics.link_bytes.collect(), "_total"):
            link = f"{sample.labels['link']} {sample.labels['direction']}"
            links[link] = int(sample.value)
        return Telemetry(
            uptime_s=round(now_s - self._started_s, 1),
            kept=outcomes.get("kept", 0),
            escalated=outcomes.get("escalated", 0),
            degraded=outcomes.get("degraded", 0),
            failed=outcomes.get("failed", 0),
            answered=sum(_by(self._metrics.answered.collect(), "kind").values()),
            compared=sum(agreed.values()),
            agreed=agreed.get("yes", 0),
            waiting=self._queue.waiting,
            wait_ms=round(self._queue.wait_s * 1000, 2),
            service_ms=round(self._queue.service_s * 1000, 3),
            decided=int(max(self._buckets.values(), default=0.0)),
            decided_ms=round(1000 * self._sum_s, 1),
            mean_ms=mean_ms,
            p95_ms=p95_ms,
            thresholds=self._thresholds(),
            link_bytes=links,
            processor_share=round(max(share, 0.0), 3),
            memory_bytes=memory_in_use(),
            temperature_c=temperature_c(),
        )

    def _thresholds(self) -> dict[str, float]:
        samples = _samples(self._metrics.threshold.collect(), "")
        return {sample.labels["task"]: round(sample.value, 6) for sample in samples}

    def _latency(self) -> tuple[float, float]:
        """Return mean and 95th percentile of what was decided since the last time, in ms."""
        counts: dict[float, float] = {}
        sum_s = 0.0
        for family in self._metrics.seconds.collect():
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    counts[float(sample.labels["le"])] = sample.value
                elif sample.name.endswith("_sum"):
                    sum_s += sample.value
        fresh = {le: count - self._buckets.get(le, 0.0) for le, count in sorted(counts.items())}
        spent_s, self._sum_s, self._buckets = sum_s - self._sum_s, sum_s, counts
        total = max(fresh.values(), default=0.0)
        if total <= 0:
            return 0.0, 0.0
        return round(1000 * spent_s / total, 2), round(1000 * _quantile(fresh, total), 2)


def _quantile(buckets: dict[float, float], total: float) -> float:
    """Return where the quantile lies, straight between the edges of its bucket."""
    below_s, below = 0.0, 0.0
    for edge_s, count in buckets.items():
        if count >= _HIGH * total:
            if edge_s == float("inf") or count == below:
                return below_s
            return below_s + (edge_s - below_s) * (_HIGH * total - below) / (count - below)
        below_s, below = edge_s, count
    return below_s


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def _by(families: Iterable[object], label: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for sample in _samples(families, "_total"):
        sums[sample.labels[label]] = sums.get(sample.labels[label], 0) + int(sample.value)
    return sums


def _samples(families: Iterable[object], ending: str) -> list[Sample]:
    return [
        sample
        for family in families
        for sample in getattr(family, "samples", ())
        if sample.name.endswith(ending)
    ]
