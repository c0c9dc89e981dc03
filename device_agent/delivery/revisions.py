"""Better answers that come after a degraded one, where they are wanted."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from device_agent.delivery.actions import Action, Revise
from shared.messages import Failure

if TYPE_CHECKING:
    from uuid import UUID

    from shared.cascade.tier import Escalation
    from shared.messages import Result

_REVISABLE: Final = 1_000


class Revisions:
    """The last prompts that were answered degraded and may be answered once more."""

    def __init__(self) -> None:
        self._revisable: OrderedDict[UUID, Escalation] = OrderedDict()

    def want(self, escalated: Escalation) -> None:
        """Take a better answer to a prompt when it comes."""
        self._revisable[escalated.prompt.id] = escalated
        if len(self._revisable) > _REVISABLE:
            self._revisable.popitem(last=False)

    def revise(self, result: Result) -> list[Action]:
        """Give the better answer, once, if it is wanted and is one."""
        if isinstance(result.outcome, Failure):
            return []
        escalated = self._revisable.pop(result.id, None)
        return [Revise(joined(escalated, result))] if escalated else []


def joined(escalated: Escalation, result: Result) -> Result:
    """Return a result from above with our own hop, which did not travel back, before its hops."""
    return result.after(escalated.prompt.hops)
