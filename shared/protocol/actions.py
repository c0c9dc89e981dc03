"""What an upper agent is told to do next; see ``shared.protocol.admission``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from shared.messages import Prompt, Result
    from shared.protocol.evidence import Evidence
    from shared.protocol.forwarded import ForwardedPrompt
    from shared.protocol.holder import Next

Key = tuple[str, UUID]


class Attempt(NamedTuple):
    """Count an attempt durably; then say ``attempted``."""

    prompt: Prompt


class Process(NamedTuple):
    """Score the prompt and decide; then say ``processed``."""

    prompt: Prompt
    attempt: int


class Forward(NamedTuple):
    """Give the ``prompt``, as it goes up, to whoever is ``following``; then say if it was ``sent``.

    ``again`` lets all that were tried be asked once more.
    """

    onward: ForwardedPrompt
    prompt: Prompt
    following: Next
    again: bool


class Quarantine(NamedTuple):
    """Put the prompt with the dead letters; then say ``quarantined``."""

    prompt: Prompt
    attempts: int
    reason: str


class StoreResult(NamedTuple):
    """Store the result; then say ``kept``. It goes out afterwards if ``reply`` is set."""

    prompt: Prompt
    result: Result
    reply: bool = True


class SendResult(NamedTuple):
    """Publish the result."""

    prompt: Prompt
    result: Result


class Decline(NamedTuple):
    """Tell the sender to try another agent."""

    prompt: Prompt
    code: str


class Heed(NamedTuple):
    """Take in what word from above, or silence, tells; then do what is to be done, if anything."""

    evidence: tuple[Evidence, ...]
    then: Forward | StoreResult | SendResult | None = None


class Working(NamedTuple):
    """Tell the sender that the prompt is in hand; then do what is to be done about it, if any."""

    prompt: Prompt
    then: Forward | Heed | None = None


Action = (
    Attempt | Process | Forward | Heed | Working | Quarantine | StoreResult | SendResult | Decline
)
