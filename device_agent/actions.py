"""What the protocol core of a device wants done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from shared.escalated import Escalated
    from shared.messages import Result


class Store(NamedTuple):
    """Commit the prompt; then say ``stored`` or ``unstored``."""

    escalated: Escalated


class Send(NamedTuple):
    """Give the prompt to an agent above; then say ``sent``.

    ``silent`` is set when the agent that has it said nothing; ``declined`` is the code with which
    one refused it: then only an agent that was not asked yet will do.
    """

    escalated: Escalated
    silent: bool = False
    declined: str = ""


class Settle(NamedTuple):
    """Commit the result; then say ``settled``."""

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


Action = Store | Send | Settle | Answer | Revise | Forget
