"""What agents counted, second by second: their metrics as read while a run goes on.

One line of JSON per agent and second in ``samples.jsonl``. Counters grow from the start of the
agent; whoever reads them takes differences. An agent whose metrics cannot be read is known by its
heartbeats only, which say how long a prompt would wait.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shared.json_lines import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prometheus_client import Metric

FILE: Final = "samples.jsonl"
_LINK: Final = "recserve_link_bytes_total"
_TOKENS: Final = "recserve_tokens_total"
_COUNTS: Final = {
    "recserve_waiting_prompts": "waiting",
    "recserve_batch_prompts_count": "batches",
    "recserve_batch_prompts_sum": "batched",
    "recserve_queue_seconds_count": "queued",
    "recserve_queue_seconds_sum": "queued_s",
}
_BUCKETS: Final = {
    "recserve_batch_prompts_bucket": "batch_buckets",
    "recserve_queue_seconds_bucket": "queue_buckets",
}


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One look at one agent, ``at_s`` on the axis of the run.

    ``link_bytes`` is by link, both ways. ``tokens_read`` and ``tokens_written`` are of all texts,
    those among them that were sent on. ``batches`` model runs have answered ``batched`` prompts;
    ``queued`` prompts have waited ``queued_s`` together. Buckets are cumulative counts by upper
    bound. ``repeats`` are prompts and results that went or came again. ``wait_ms`` is what the last
    heartbeat said, None where there was none.
    """

    at_s: float
    agent: str
    tier: str
    link_bytes: dict[str, int] = {}
    waiting: float = 0.0
    batches: float = 0.0
    batched: float = 0.0
    queued: float = 0.0
    queued_s: float = 0.0
    batch_buckets: dict[str, float] = {}
    queue_buckets: dict[str, float] = {}
    tokens_read: float = 0.0
    tokens_written: float = 0.0
    repeats: float = 0.0
    wait_ms: float | None = None


def make_sample(
    at_s: float, agent: str, tier: str, metrics: Iterable[Metric], wait_ms: float | None = None
) -> Sample:
    """Take what a report needs from an agent's metrics."""
    values: dict[str, Any] = {}
    links: dict[str, int] = {}
    for sample in (sample for family in metrics for sample in family.samples):
        if sample.name == _LINK:
            link = sample.labels["link"]
            links[link] = links.get(link, 0) + int(sample.value)
        elif sample.name == _TOKENS:
            values[f"tokens_{sample.labels['direction']}"] = sample.value
        elif sample.name == "recserve_repeats_total":
            values["repeats"] = values.get("repeats", 0.0) + sample.value
        elif sample.name in _COUNTS:
            values[_COUNTS[sample.name]] = sample.value
        elif sample.name in _BUCKETS and not math.isinf(float(sample.labels["le"])):
            values.setdefault(_BUCKETS[sample.name], {})[sample.labels["le"]] = sample.value
    return Sample(at_s, agent, tier, links, wait_ms=wait_ms, **values)


def read_samples(folder: Path) -> list[Sample]:
    """Return the samples of a run in the order they were taken; none where there is no file.

    Raises ``DataError`` that names the file and the line.
    """
    path = folder / FILE
    return read_lines(path, Sample) if path.exists() else []
