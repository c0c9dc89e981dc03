"""What the samples of a run say of its agents: bytes on links, batches, waits for the model."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from experiments.replay.samples import Sample


def by_agent(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return the samples of each agent, in order of time."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.agent, []).append(sample)
    return found


def steps(mine: Sequence[Sample]) -> Iterator[tuple[Sample, Sample]]:
    """Yield (before, after) of one agent; a restart begins anew, with nothing counted before."""
    for before, after in itertools.pairwise(mine):
        again = after.batches < before.batches or any(
            after.link_bytes.get(link, 0) < count for link, count in before.link_bytes.items()
        )
        yield (type(before)(before.at_s, before.agent, before.tier) if again else before), after


def link_totals(samples: Sequence[Sample]) -> dict[str, int]:
    """Return the bytes that all agents together counted on each link while they were watched."""
    totals: Counter[str] = Counter()
    for mine in by_agent(samples).values():
        for before, after in steps(mine):
            for link, count in after.link_bytes.items():
                totals[link] += count - before.link_bytes.get(link, 0)
    return dict(totals)


def agent_figures(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return batches, waits and repeats of each agent; waits are None without its metrics."""
    return {agent: _figures(mine) for agent, mine in sorted(by_agent(samples).items())}


def _figures(mine: Sequence[Sample]) -> dict[str, Any]:
    batches = batched = queued = queued_s = repeats = read = written = 0.0
    for before, after in steps(mine):
        batches += after.batches - before.batches
        batched += after.batched - before.batched
        queued += after.queued - before.queued
        queued_s += after.queued_s - before.queued_s
        repeats += after.repeats - before.repeats
        read += after.tokens_read - before.tokens_read
        written += after.tokens_written - before.tokens_written
    first, last = mine[0], mine[-1]
    waits_ms = [sample.wait_ms for sample in mine if sample.wait_ms is not None]
    return {
        "tier": mine[0].tier,
        "batches": int(batches),
        "batch_prompts_mean": round(batched / batches, 3) if batches else None,
        "batch_prompts_p95": bucket_quantile(first.batch_buckets, last.batch_buckets, 0.95),
        "queue_ms_mean": round(1000 * queued_s / queued, 3) if queued else None,
        "queue_ms_p95_at_most": _ms(bucket_quantile(first.queue_buckets, last.queue_buckets, 0.95)),
        "waiting_most": max(sample.waiting for sample in mine),
        "heartbeat_wait_ms_most": round(max(waits_ms), 3) if waits_ms else None,
        "repeats": int(repeats),
        "tokens_read": int(read),
        "tokens_written": int(written),
    }


def bucket_quantile(
    first: Mapping[str, float], last: Mapping[str, float], share: float
) -> float | None:
    """Return the upper bound of the bucket that holds a quantile; None when it is beyond all.

    Also None without any observation between ``first`` and ``last``.
    """
    bounds = sorted(last, key=float)
    counts = [last[bound] - first.get(bound, 0.0) for bound in bounds]
    if not counts or counts[-1] <= 0:
        return None
    for bound, count in zip(bounds, counts, strict=True):
        if count >= share * counts[-1]:
            return float(bound)
    return None


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else round(1000 * value_s, 3)
