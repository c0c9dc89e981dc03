"""Metrics with what their readers are told of them: docs/metrics.md is written from that."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from shared.telemetry.log import dropped_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import Metric

_Labelled = TypeVar("_Labelled", Counter, Gauge, Histogram)
_SERIES = 512


class Described(NamedTuple):
    """One metric as its readers find it; ``labels`` says of each label what it may be."""

    name: str
    type: Literal["counter", "gauge", "histogram", "info"]
    meaning: str
    labels: dict[str, str]


class DescribedRegistry(CollectorRegistry):
    """The metrics of one agent; each that is added here is described.

    It leaves out the series that say when each counter began: the process's start says that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.described: list[Described] = []

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they stand."""
        for family in super().collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family

    def counter(self, name: str, meaning: str, **labels: str) -> Counter:
        """Add a counter; ``labels`` says of each label what it may be."""
        self.described.append(Described(f"{name}_total", "counter", meaning, labels))
        return _quick(Counter(name, meaning, list(labels), registry=self))

    def gauge(self, name: str, meaning: str, **labels: str) -> Gauge:
        """Add a gauge."""
        self.described.append(Described(name, "gauge", meaning, labels))
        return _quick(Gauge(name, meaning, list(labels), registry=self))

    def histogram(
        self, name: str, meaning: str, buckets: Sequence[float], **labels: str
    ) -> Histogram:
        """Add a histogram."""
        self.described.append(Described(name, "histogram", meaning, labels))
        return _quick(Histogram(name, meaning, list(labels), buckets=buckets, registry=self))

    def info(self, name: str, meaning: str, **labels: str) -> Info:
        """Add what is always 1 and has labels that may change."""
        self.described.append(Described(name, "info", meaning, labels))
        return Info(name.removesuffix("_info"), meaning, registry=self)

    def log_lines(self) -> None:
        """Add what became of the log."""
        name, meaning = "recserve_log_lines_dropped", "Log lines that could not be written."
        self.described.append(Described(f"{name}_total", "counter", meaning, {}))
        self.register(_LogLines(name, meaning))


class _LogLines(Collector):
    """What became of the log, which is one for all agents of a process."""

    def __init__(self, name: str, meaning: str) -> None:
        self._name = name
        self._meaning = meaning

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return how many lines were dropped."""
        yield CounterMetricFamily(self._name, self._meaning, value=dropped_lines())


def drop(metric: Gauge, *labels: str) -> None:
    """Show a series no more; who looks it up again begins a new one."""
    with contextlib.suppress(KeyError):  # of one that was never shown, in older libraries
        metric.remove(*labels)
    metric.labels.cache_clear()  # type: ignore[attr-defined] # see ``_quick``


def _quick(metric: _Labelled) -> _Labelled:
    """Look each labelled series up once: the library's own look-up costs more than counting."""
    metric.labels = lru_cache(_SERIES)(metric.labels)  # type: ignore[method-assign] # same calls
    return metric
