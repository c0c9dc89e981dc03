"""What is planned: the settings of ``recserve plan``, from a YAML file and flags."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from experiments.replay.schedule import Slice
from experiments.replay.settings import TraceChoice
from shared.errors import SettingsError
from shared.settings.base import Closed, Count, Seconds
from shared.settings.file import Written


class MachineSettings(Closed, frozen=True, kw_only=True):
    """A kind of machine."""

    measured: Annotated[
        str, Meta(min_length=1, description="file that `recserve measure` wrote on such a machine")
    ]
    cores: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="cores of one; none: as many as were measured on"),
    ] = None
    speed: Annotated[
        float, Meta(gt=0, description="how fast it is for the measured one: 0.5 is half as fast")
    ] = 1.0
    single: Annotated[
        bool,
        Meta(description="there is one, shared by all agents put on it; else each has its own"),
    ] = False

    models: Annotated[
        str,
        Meta(description="file of `recserve models measure`, for models that `measured` lacks"),
    ] = ""
    node_class: Annotated[
        str, Meta(description="class of node in that file; empty: the only one it has")
    ] = ""


class TierPlanSettings(Closed, frozen=True, kw_only=True):
    """A tier: the settings file of its agents, how many there are, and on what."""

    config: Annotated[str, Meta(min_length=1, description="YAML file of one of its agents")]
    machine: Annotated[str, Meta(description="kind of machine, one of machines")]
    agents: Annotated[Count, Meta(description="how many")] = 1
    virtual: Annotated[
        bool, Meta(description="devices: all in one process, as those of a replay are")
    ] = False
    set: Annotated[
        dict[str, Written], Meta(description="settings that differ from the file, by dotted key")
    ] = msgspec.field(default_factory=dict)


class LinkSettings(Closed, frozen=True, kw_only=True):
    """The way between two tiers, one direction; every agent has a line of its own."""

    delay_ms: Annotated[float, Meta(ge=0, description="one way")] = 0.0
    megabits_s: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="bandwidth; none: no limit")
    ] = None
    loss: Annotated[float, Meta(ge=0, lt=1, description="share of packets lost and sent again")] = (
        0.0
    )


class BrokerPlanSettings(Closed, frozen=True, kw_only=True):
    """Where the broker runs."""

    machine: Annotated[str, Meta(description="kind of machine, one of machines")]
    beside: Annotated[
        str, Meta(description="tier that it stands beside; empty: the one above the devices")
    ] = ""


class GoalSettings(Closed, frozen=True, kw_only=True):
    """What to reach with as few agents as possible."""

    p99_ms: Annotated[float, Meta(gt=0, description="99th percentile of latency, at most")]
    find: Annotated[
        tuple[str, ...], Meta(min_length=1, description="tiers whose agents are to be counted")
    ]
    worse_share: Annotated[
        float, Meta(ge=0, lt=1, description="share of prompts, at most, that may end worse")
    ] = 0.001
    """Worse are degraded answers, errors, and none at all."""
    at_most: Annotated[Count, Meta(description="agents of a tier to try")] = 64


class PlanSettings(Closed, frozen=True, kw_only=True):
    """An installation, and what is asked of it."""

    name: Annotated[str, Meta(description="of the plan, and of its folder under runs/")] = "plan"
    trace: TraceChoice
    part: Slice = Slice()
    tiers: Annotated[
        tuple[TierPlanSettings, ...], Meta(min_length=1, description="from the device up")
    ]
    machines: Annotated[dict[str, MachineSettings], Meta(description="kinds of machines, by name")]
    links: Annotated[
        dict[str, LinkSettings], Meta(description="by lower and upper tier: device-edge")
    ] = msgspec.field(default_factory=dict)
    broker: BrokerPlanSettings
    goal: Annotated[GoalSettings | None, Meta(description="none: play the trace once")] = None
    timeout_s: Annotated[Seconds, Meta(description="time for a prompt that names none")] = 30.0
    seed: Annotated[int, Meta(ge=0, description="of all that is drawn")] = 0
    lengths: Annotated[
        Literal["answered", "asked"],
        Meta(
            description="tokens of a text: answered: as many as the models write; asked: as many "
            "as its prompt asks for at most"
        ),
    ] = "answered"
    answers: Annotated[
        str, Meta(description="folder in which the models' answers are kept between plans")
    ] = "runs/answers"

    def __post_init__(self) -> None:
        """Hold the parts to each other."""
        named = {f"tiers: {tier.config}": tier.machine for tier in self.tiers}
        named["broker"] = self.broker.machine
        for where, machine in named.items():
            if machine not in self.machines:
                known = ", ".join(self.machines)
                raise SettingsError(f"{where} runs on {machine!r}; machines names {known}")
        if any(tier.virtual for tier in self.tiers[1:]):
            raise SettingsError("virtual is for the first tier, the devices, alone")
