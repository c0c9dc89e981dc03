"""Recorded and drawn arrival processes, read as they are published."""

from experiments.traces.arrival import Arrival
from experiments.traces.reading import FORMATS, Trace, read_trace

__all__ = ["FORMATS", "Arrival", "Trace", "read_trace"]
