"""Which charts each page has, and where their columns come from."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import quote


class Chart(NamedTuple):
    """One chart: its name in the history, and what stands above it."""

    name: str
    caption: str


_CHARTS: Final[dict[str, tuple[Chart, ...]]] = {
    "cascade": (
        Chart("kept_s", "Prompts a second, by tier that kept them"),
        Chart("threshold", "Thresholds"),
        Chart("p95_ms", "95th percentile to a decision, ms"),
        Chart("links", "Bytes a second on each link"),
        Chart("degraded_s", "Degraded answers a second"),
        Chart("waiting", "Prompts that wait for a model"),
    ),
    "node": (
        Chart("prompts_s", "Prompts a second"),
        Chart("p95_ms", "95th percentile to a decision, ms"),
        Chart("waiting", "Prompts that wait for the model"),
        Chart("processor_share", "Share of a core"),
        Chart("memory_bytes", "Memory in use, bytes"),
    ),
    "placement": (
        Chart("worth", "What a job was worth, mean of a round"),
        Chart("grade", "Mean grade of a round"),
        Chart("latency_s", "Mean latency of a round, s"),
        Chart("by_node", "Jobs of a round, by node"),
        Chart("surprise", "Surprise a job, nats"),
    ),
}
_HISTORIES: Final = {"cascade": "fleet", "placement": "rounds"}


def charts_of(page: str, agent: str) -> dict[str, Any]:
    """Return the charts of a page, and the address of their columns."""
    history = f"nodes/{quote(agent, safe='')}" if page == "node" else _HISTORIES.get(page, "")
    return {"charts": _CHARTS.get(page, ()), "history": f"/api/history/{history}"}
