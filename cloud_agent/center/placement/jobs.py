"""What is placed: jobs, the nodes that may take one, and what came of it.

A *job* is one prompt of some *kind* (an emotion, a translation, …) that any node may answer; the
kind tells how it is graded and how long its answers are. Nodes that are dead, draining or changing
their model are no candidates, so no allocator ever sees one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class FleetJob(NamedTuple):
    """One prompt to be answered by some node.

    ``deadline_s`` is on the centre's clock: those that end sooner are placed first. ``features``
    are what ``features_of`` says of its text; empty where nobody looked.
    """

    id: str
    kind: str
    deadline_s: float
    features: tuple[float, ...] = ()


@dataclass(slots=True)
class OpenNode:
    """A node that may take a job now, as the centre knows it.

    ``backlog_s`` is how long what waits there will take: what the node last said and what has been
    sent to it since. Placing a job adds to it.
    """

    node: str
    model: str
    backlog_s: float
    rtt_s: float


class JobOutcome(NamedTuple):
    """What came of one job.

    ``grade`` lies in [0, 1] and is None where nobody could grade the answer. ``service_s`` is the
    time that the node worked on it, without waiting; where ``censored`` it is only known to be
    longer. ``tokens`` is what the answer was counted in, and ``in_time`` whether it met its
    deadline.
    """

    job: str
    kind: str
    node: str
    model: str
    grade: float | None
    tokens: float
    service_s: float
    latency_s: float
    in_time: bool = True
    censored: bool = False
