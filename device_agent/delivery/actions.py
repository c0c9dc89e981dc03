"""What the protocol core of a device wants done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shared.protocol.evidence import Evidence

if TYPE_CHECKING:
    from uuid import UUID

    from shared.cascade.tier import Escalation
    from shared.messages import Result


class Store(NamedTuple):
    """Commit the prompt; then say ``stored`` or ``unstored``."""

    escalated: Escalation


class Send(NamedTuple):
    """Give the prompt to an agent above; then say ``sent``, ``unsent`` or ``refused``.

    ``to`` is the agent that has it and is asked again; if there is none, any will do that is not in
    ``tried``. ``declined`` is the code with which one refused it: then only an agent that was not
    asked yet will do.
    """

    escalated: Escalation
    to: str = ""
    tried: frozenset[str] = frozenset()
    declined: str = ""


class Resolve(NamedTuple):
    """Commit the result; then say ``resolved``."""

    result: Result


class Answer(NamedTuple):
    """Hand the one result to whoever asked."""

    result: Result


class Revise(NamedTuple):
    """Hand on a better answer than the degraded one that is already out."""

    result: Result


class Forget(NamedTuple):
    """Delete the row of a prompt that was answered before the row was there."""

    prompt_id: UUID


Action = Store | Send | Resolve | Answer | Revise | Forget | Evidence
