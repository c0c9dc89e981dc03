"""Planned installations with made-up figures: no model runs, nothing was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from device_agent.settings import DeviceSettings
from experiments.profiling.profile import AgentCosts, Cost, MachineProfile, ModelTimes
from experiments.replay.schedule import ScheduledRequest
from experiments.simulator.link import LinkFacts
from experiments.simulator.scenario import Machine, Scenario, TierPlan
from experiments.simulator.station import RecordedAnswer
from shared.agent.settings import AgentSettings
from shared.cascade.policies import KeepAll, PolicySettings
from shared.settings.file import convert
from shared.tasks.classify import Label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        said = {text: each[place] for text, each in (spoken or {}).items()} or _sure()
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


def _sure() -> dict[str, RecordedAnswer]:
    return {"so so": RecordedAnswer(Label("good"), 0.9)}
