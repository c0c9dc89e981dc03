"""What is planned: tiers of agents on machines, with lines to a broker. Values only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from experiments.simulator.link import LinkFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.profiling.profile import MachineProfile, ModelTimes, WritingTimes
    from experiments.simulator.station import RecordedAnswer
    from shared.agent.settings import AgentSettings
    from shared.tasks import Task


class Machine(NamedTuple):
    """A kind of machine: what was measured on it, its cores, and whether there is only one.

    ``speed`` is how fast it is for one that was measured: half as fast at 0.5.
    """

    name: str
    measured: MachineProfile
    cores: float
    single: bool = False
    speed: float = 1.0


class TierPlan(NamedTuple):
    """One tier: the settings its agents share, who and where they are, and what their model says.

    ``spoken`` has the answers by ``prompt_key``, all to prompts of one ``task``; ``expected`` are
    quantiles of the model's confidences as its bundle knows them. ``virtual`` is for devices that
    live in one process, as those of a replay do.
    """

    settings: AgentSettings
    names: Sequence[str]
    machine: Machine
    model: ModelTimes | WritingTimes
    spoken: Mapping[bytes, RecordedAnswer]
    line: LinkFacts = LinkFacts()
    virtual: bool = False
    task: Task = "classify"
    expected: Sequence[float] = ()


class Scenario(NamedTuple):
    """Tiers from the device up, and the machine that the broker runs on."""

    tiers: Sequence[TierPlan]
    broker: Machine
    root: str = "recserve"
