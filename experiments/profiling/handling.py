"""What of a process's time an agent's handling of a prompt takes, its model apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from experiments.profiling.agents import WAYS
from experiments.profiling.profile import AgentCosts, Cost, expected_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.profiling.agents import Agents, Way
    from experiments.profiling.profile import ModelTimes

_US: Final = 1e6


def make_handling(agents: Agents, times: Sequence[ModelTimes]) -> AgentCosts:
    """Take the processes' shares apart; ``times`` are those of the agents' models, lowest first."""
    models = dict(zip(("fleet", "edge-1", "cloud-1"), times, strict=True))
    device, edge, cloud = (agents.ways[name] for name in WAYS)

    def of(way: Way, process: str) -> Cost:
        return Cost(way.cold.cpu_s[process] * _US, way.warm.cpu_s[process] * _US)

    def model(way: Way, process: str) -> Cost:
        mine = models[process]
        cold, warm = (expected_us(mine, agents.text_bytes, seen.runs[process]) for seen in way)
        return Cost(cold + mine.cold_us, warm)

    keep = of(device, "fleet").beyond(model(device, "fleet"))
    sent_up = of(edge, "fleet").beyond(model(edge, "fleet"))
    answer = of(edge, "edge-1").beyond(model(edge, "edge-1"))
    message = Cost(*(us / 2 for us in msgspec.structs.astuple(of(edge, "broker"))))
    escalate = sent_up.beyond(keep)
    edge_model_us = model(edge, "edge-1").cold_us
    beyond_us = (edge.cold.latency_s - device.cold.latency_s) * _US - edge_model_us
    worked_us = escalate.cold_us + answer.cold_us + 2 * message.cold_us
    return AgentCosts(
        keep=keep,
        escalate=escalate,
        answer=answer,
        pass_on=of(cloud, "edge-1").beyond(model(cloud, "edge-1")),
        message=message,
        generate=of(agents.replay, "fleet"),
        watch_us=agents.watched.cpu_s["fleet"] * _US,
        on_path=min(max(beyond_us / worked_us, 0.1), 1.0) if worked_us else 1.0,
    )
