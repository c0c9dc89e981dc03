"""What both demos do with running agents: stream texts through them with bars, and read meters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from broker.start import choose
from experiments.testbed.processes import upward
from experiments.testbed.scrape import samples_at
from recserve.demo.stream import DemoAnswers, stream
from shared.cascade.policies import Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from experiments.testbed.client import Answer
    from experiments.testbed.processes import Agent, UpSettings
    from shared.tasks import Task


def say_who_starts(up: UpSettings, agents: Sequence[Agent], console: Console) -> None:
    """Name the broker and every agent."""
    kind = "Mosquitto" if choose(up.broker.kind) == "mosquitto" else "the embedded broker (amqtt)"
    names = ", ".join(agent.settings.agent for agent in agents)
    console.print(f"Starting {kind} and {names}; every one is a process of its own ...")


async def stream_watched(
    texts: Sequence[str],
    agents: Sequence[Agent],
    console: Console,
    *,
    in_flight: int,
    timeout_s: float,
    task: Task = "classify",
) -> DemoAnswers:
    """Stream texts through the devices among the agents, and show how many each tier answered."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        total = bar.add_task("prompts answered", total=len(texts))
        tiers = [agent.settings.tier.name for agent in one_of_each_tier(agents)]
        by_tier = {tier: bar.add_task(f"  by the {tier}", total=len(texts)) for tier in tiers}

        def progress(answer: Answer) -> None:
            bar.advance(total)
            if "tier" in answer:
                bar.advance(by_tier[answer["tier"]])

        return await stream(
            texts,
            [agent.settings.agent for agent in agents if agent.role == "device"],
            agents[0].settings.mqtt,
            in_flight=in_flight,
            timeout_s=timeout_s,
            progress=progress,
            task=task,
        )


def one_of_each_tier(agents: Sequence[Agent]) -> list[Agent]:
    """Return an agent of every tier, from the device up."""
    by_tier = {agent.settings.tier.name: agent for agent in agents}
    return [by_tier[tier] for tier in upward(agent.settings.tier for agent in agents)]


def beta_of(agent: Agent) -> float | None:
    """Return the escalation rate that a tier aims at, if its policy has one."""
    policy = agent.settings.tier.policy
    return policy.beta if isinstance(policy, Quantile) else None


def burden_of(agents: Sequence[Agent]) -> dict[str, int]:
    """Sum the bytes that the agents counted on each link, as Prometheus would read them."""
    burden: dict[str, int] = {}
    for agent in agents:
        for sample in samples_at(agent.settings.metrics.port):
            if sample.name == "recserve_link_bytes_total":
                link = sample.labels["link"]
                burden[link] = burden.get(link, 0) + int(sample.value)
    return burden
