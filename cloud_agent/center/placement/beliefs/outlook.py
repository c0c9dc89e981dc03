"""What is expected of a job before it is given to a node."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Outlook(NamedTuple):
    """What one kind of job would bring on one node.

    ``quality`` is the expected grade, ``service_s`` the expected time of work without waiting,
    with ``spread_s`` its standard deviation. The two ``nats`` say how much the answer would teach
    about the model and about the node.
    """

    quality: float
    service_s: float
    spread_s: float
    quality_nats: float = 0.0
    speed_nats: float = 0.0


class Outlooks(Protocol):
    """Whoever can say what to expect: beliefs, a catalogue, or a simulator that knows the truth."""

    def outlook(self, node: str, model: str, kind: str) -> Outlook:
        """Return what a job of this kind would bring on a node that runs this model."""
