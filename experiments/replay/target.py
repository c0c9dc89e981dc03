"""Where a replay sends its prompts: the port, and the values that cross it.

The devices themselves are agents, of which nothing here knows; ``experiments.testbed.fleet`` and
``experiments.replay.device_targets`` join the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import msgspec

from shared.messages import Failure, Hop, Result
from shared.tasks import Answer, Options, Task

if TYPE_CHECKING:
    from collections.abc import Sequence


class ReplayRequest(msgspec.Struct, frozen=True):
    """One prompt for one device; ``device`` is one of the target's."""

    id: UUID
    device: str
    task: Task
    text: str
    timeout_s: float
    priority: int = 0
    options: Options = {}


class Response(msgspec.Struct, frozen=True):
    """What came back: an ``answer``, or an ``error`` with its ``reason``; and the hops."""

    answer: Answer | None = None
    hops: tuple[Hop, ...] = ()
    degraded: str = ""
    error: str = ""
    reason: str = ""

    @classmethod
    def of(cls, result: Result) -> Response:
        """Return what a result says."""
        outcome = result.outcome
        if isinstance(outcome, Failure):
            return cls(None, result.hops, result.degraded, outcome.code, outcome.reason)
        return cls(outcome, result.hops, result.degraded)


class Target(Protocol):
    """Devices that can be asked, whatever they are."""

    @property
    def devices(self) -> Sequence[str]:
        """Names of the devices, in a fixed order."""

    async def ask(self, question: ReplayRequest) -> Response:
        """Return the one reply to a question; what goes wrong is an error in the reply."""
