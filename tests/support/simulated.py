"""Planned installations with made-up figures: no model runs, nothing was measured."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from device_agent.settings import DeviceSettings
from experiments.evaluation.answer_store import prompt_key
from experiments.profiling.profile import (
    AgentCosts,
    Cost,
    MachineProfile,
    ModelTimes,
    WritingTimes,
)
from experiments.replay.schedule import ScheduledRequest
from experiments.simulator.batch_rounds import SimulatedBatchRounds
from experiments.simulator.batcher import SimulatedBatcher
from experiments.simulator.cpu import ModelThread, Processor
from experiments.simulator.link import LinkFacts
from experiments.simulator.scenario import Machine, Scenario, TierPlan
from experiments.simulator.service_times import ServiceTimes, WritingServiceTimes
from experiments.simulator.station import RecordedAnswer
from experiments.simulator.token_rounds import SimulatedTokenRounds, WritingLimits
from experiments.simulator.waiting import BatchCounts, WaitingPrompt
from shared.agent.settings import AgentSettings
from shared.cascade.policies import KeepAll, PolicySettings
from shared.protocol.batch_queue import BatchQueue
from shared.settings.file import convert
from shared.tasks.classify import Label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.simulator.batcher import SimulatedRounds
    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import Worker

TIERS = ("device", "edge", "cloud")


def handling(*, agent_us: float = 100.0, message_us: float = 10.0) -> AgentCosts:
    """Every step of an agent costs the same, cold or warm."""
    cost = Cost(agent_us, agent_us)
    return AgentCosts(
        keep=cost,
        escalate=cost,
        answer=cost,
        pass_on=cost,
        message=Cost(message_us, message_us),
        generate=Cost(0.0, 0.0),
        watch_us=0.0,
        on_path=1.0,
    )


def model_times(prompt_us: float, *, run_us: float = 0.0, threads: int = 1) -> ModelTimes:
    """A model that takes the same time for every prompt."""
    return ModelTimes(
        threads=threads,
        run_us=run_us,
        prompt_us=prompt_us,
        byte_us=0.0,
        held_run_us=0.0,
        held_prompt_us=0.0,
        cold_us=0.0,
        spread=(1.0,) * 21,
        batches=(),
    )


def writing_times(
    decode_token_us: float, *, prefill_token_us: float = 0.0, step_us: float = 0.0
) -> WritingTimes:
    """A model that writes, and takes the same time for every token."""
    return WritingTimes(
        threads=1,
        prefill_us=0.0,
        prefill_token_us=prefill_token_us,
        step_us=step_us,
        decode_token_us=decode_token_us,
        held_share=0.0,
        cold_us=0.0,
        spread=(1.0,) * 21,
        together=(),
    )


def simulated_batcher(
    clock: SimulatedClock,
    loop: Worker,
    times: ModelTimes | WritingTimes,
    *,
    batch_prompts: int = 4,
    queue_prompts: int = 10,
    tokens_at_once: int = 1_000,
) -> SimulatedBatcher:
    """A batcher whose model has two cores of its own."""
    queue: BatchQueue[WaitingPrompt] = BatchQueue(queue_prompts, batch_prompts=batch_prompts)
    thread, tally = ModelThread(clock, Processor(clock, 2), loop), BatchCounts()
    draw = random.Random(0)
    rounds: SimulatedRounds
    if isinstance(times, WritingTimes):
        spent = WritingServiceTimes(times, draw)
        limits = WritingLimits(batch_prompts, tokens_at_once)
        rounds = SimulatedTokenRounds(clock, loop, thread, spent, queue, tally, limits)
    else:
        batches = ServiceTimes(times, draw)
        rounds = SimulatedBatchRounds(clock, loop, thread, batches, queue, tally)
    return SimulatedBatcher(clock, loop, queue, rounds, tally)


def machine(
    name: str = "box", *, cores: float = 2, single: bool = False, costs: AgentCosts | None = None
) -> Machine:
    """A machine with the costs above, or others."""
    measured = MachineProfile(
        machine=name,
        cores=2,
        measured="2026-01-01T00:00:00+00:00",
        broker="mosquitto",
        versions={},
        handling=costs or handling(),
        models={},
    )
    return Machine(name, measured, cores, single)


def settings(
    tier: str, policy: PolicySettings, *, beyond: bool = False, **changes: Any
) -> AgentSettings:
    """Settings of one tier of three; ``beyond``: it may pass over the next one."""
    above = TIERS[TIERS.index(tier) + 1 :]
    tree = {
        "agent": f"{tier}-1",
        "tier": {"name": tier, "upstream": above[0] if above else None},
        "model": {"source": "none"},
    }
    kind = DeviceSettings if tier == "device" else AgentSettings
    made = convert(kind, tree, "here")
    further = above[1:] if beyond else ()
    place = msgspec.structs.replace(made.tier, policy=policy, beyond=further)
    return msgspec.structs.replace(made, tier=place, **changes)


def world(
    *,
    device: PolicySettings | None = None,
    edge: PolicySettings | None = None,
    devices: int = 1,
    edges: int = 1,
    clouds: int = 1,
    model_us: Sequence[float] = (500.0, 1000.0, 2000.0),
    spoken: Mapping[str, Sequence[RecordedAnswer]] | None = None,
    line: LinkFacts | None = None,
    virtual: bool = False,
    on: Machine | None = None,
    beyond: bool = False,
    **changes: Any,
) -> Scenario:
    """Three tiers; by default devices keep everything. ``changes`` are of the edges' settings."""
    policies = (device or KeepAll(), edge or KeepAll(), KeepAll())
    counts = (devices, edges, clouds)
    tiers = []
    for place, tier in enumerate(TIERS):
        texts = spoken or {"so so": [RecordedAnswer(Label("good"), 0.9)] * len(TIERS)}
        said = {prompt_key(text): each[place] for text, each in texts.items()}
        tiers.append(
            TierPlan(
                settings=settings(
                    tier, policies[place], beyond=beyond, **(changes if place == 1 else {})
                ),
                names=[f"{tier}-{number + 1}" for number in range(counts[place])],
                machine=on or machine(tier),
                model=model_times(model_us[place]),
                spoken=said,
                line=(line or LinkFacts()) if place == 0 else LinkFacts(),
                virtual=virtual and place == 0,
            )
        )
    return Scenario(tiers, on or machine("broker"))


def plays(
    times_s: Sequence[float], *, devices: int = 1, text: str = "so so"
) -> list[ScheduledRequest]:
    """One prompt at each time, the devices in turn."""
    return [
        ScheduledRequest(
            number, at_s, f"device-{number % devices + 1}", "classify", text, "good", None
        )
        for number, at_s in enumerate(times_s)
    ]
