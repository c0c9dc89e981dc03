"""How messages get from agent to agent: up one line, through the broker, down another.

Every agent has a line of its own to the one broker. The broker is one thread, as Mosquitto is, and
besides prompts and results it carries every agent's statuses, to whoever listens to them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.simulator.cpu import Step, Worker
    from experiments.simulator.link import Link


class Ends(NamedTuple):
    """The two directions of an agent's line."""

    up: Link
    down: Link


class Network:
    """The broker and the lines to it."""

    def __init__(self, broker: Worker, message: Step) -> None:
        self._broker = broker
        self._message = message
        self._ends: dict[str, Ends] = {}
        self.link_bytes: Counter[str] = Counter()
        """Bytes of PUBLISH packets by link, both ways, as agents count them."""

    def join(self, agent: str, ends: Ends) -> None:
        """Connect an agent."""
        self._ends[agent] = ends

    def send(
        self, sender: str, reader: str, size: int, arrived: Callable[..., None], *args: Any
    ) -> None:
        """Carry a message of ``size`` bytes; call ``arrived`` when its reader has it."""
        down = self._ends[reader].down
        passed = (size, arrived, *args)
        through = (self._message, down.send, *passed)
        self._ends[sender].up.send(size, self._broker.do, *through)

    def carry(self, taken: float, given: float) -> None:
        """Take in so many packets that are neither prompts nor results, and give out so many.

        Half of what a message costs is to take it in, the other to give it to one reader.
        """
        step, times = self._message, (taken + given) / 2
        work = step._replace(cold_s=step.cold_s * times, warm_s=step.warm_s * times)
        self._broker.do(work, _nothing)


def _nothing() -> None:
    """Do no more: nobody waits for these to be out."""
