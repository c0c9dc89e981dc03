"""A planned installation, ready to be played to; ``simulator.build`` puts it together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from experiments.simulator.clock import SimulatedClock
    from experiments.simulator.cpu import ModelThread, Processor, Step, Worker
    from experiments.simulator.device import DeviceAgent
    from experiments.simulator.network import Network
    from experiments.simulator.waiting import BatchCounts
    from shared.wire.topics import Topics

BROKER: Final = "broker"
DEVICES: Final = "devices"
"""What all devices together are called where they are counted."""
WATCH_S: Final = 0.25
"""Time between two looks of a replay at its agents."""


@dataclass
class World:
    """Everything that takes part."""

    clock: SimulatedClock
    network: Network
    topics: Topics
    devices: dict[str, DeviceAgent] = field(default_factory=dict)
    tallies: dict[tuple[str, str], BatchCounts] = field(default_factory=dict)
    """What models did, by agent and tier; the devices together."""
    generator: GeneratorNode | None = None
    """The replay that virtual devices are part of."""

    agents: dict[str, Placement] = field(default_factory=dict)
    """Where every agent, and the broker, does its work."""


class Placement(NamedTuple):
    """An agent's tier, the cores that it is on, and what it does its work with."""

    tier: str
    processor: Processor
    workers: tuple[Worker | ModelThread, ...]


class GeneratorNode(NamedTuple):
    """A replay's event loop, and what it does there: send and record a prompt, watch agents."""

    loop: Worker
    send: Step
    record: Step
    watch: Step
