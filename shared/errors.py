"""Every error this project raises on purpose, on one page.

::

    RecServeError
    ├── SettingsError         a settings file, variable or flag is wrong
    ├── BundleError           a model bundle is missing, altered or does not fit
    ├── DataError             a labelled set, or a file of kept answers, is wrong
    ├── RuntimeUnavailable    a model engine or execution provider is not installed
    ├── BusError              the broker cannot be used
    │   ├── NotConnected      no connection now; try again when it is back
    │   │   └── LostAtOnce    it ended right after a message was sent
    │   ├── NotNow            the broker said no, for now
    │   └── Refused           the broker said no, and will say it again
    │       └── TooLarge      it carries no message of that size
    ├── AgentRunning          another process on this machine runs as this agent
    ├── Fenced                a newer process runs under this agent's name
    ├── MemoryRefused         a memory does not do what it was asked
    ├── StoreError            what must outlive the process cannot be kept
    │   └── StoreFull         its disk, or the room it was given there, is full
    ├── MalformedMessage      bytes or a topic that do not mean anything to us
    │   └── OtherVersion      they are of a version that we do not speak
    └── PromptError           this prompt cannot be answered; becomes an error result
        ├── InvalidPrompt     empty, too long, not UTF-8, wrong type
        ├── UnknownTask       nobody here answers such a task
        ├── ModelFailed       the model raised on this prompt
        ├── Quarantined       it was tried too often, and lies with the dead letters
        ├── Lost              what was stored of it cannot be read any more
        ├── AnswerTooLong     it was answered, but no message carries that
        ├── Busy              the queue is full, or too long for the time left
        │   └── ServerAway    the server that runs the model takes nothing now
        ├── Expired           its time ran out
        └── Stopping          the agent is shutting down

These belong to one place and stand in it: ``ProcessFailed`` (``experiments.testbed``),
``SourceFailed`` (``shared.nodes.sources``), ``CenterRefused`` (``recserve.center_client``),
``ReloadFailed`` (``recserve.commands.reload``), ``NightFailed`` (``recserve.commands.night``),
``NotTaught`` (``edge_agent.nights.elsewhere``), ``LearningFailed`` (``cloud_agent.training``),
``TrainingError`` (``models.train``) and ``ChaosFailed`` (``chaos``); ``WrongProtocol`` never leaves
the MQTT connection.

Errors of foreign libraries are translated only in the file that imports the library.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final


class RecServeError(Exception):
    """Root of the family; its text is one sentence that says what to do."""


class SettingsError(RecServeError):
    """A settings file, an environment variable or a flag is wrong."""


class BundleError(RecServeError):
    """A model bundle is missing, altered or does not fit its use."""


class DataError(RecServeError):
    """A labelled set or a file of kept answers cannot be used; names the file and the row."""


class RuntimeUnavailable(RecServeError):
    """A model engine or an execution provider is not installed here."""


class BusError(RecServeError):
    """The broker cannot be used."""


class NotConnected(BusError):
    """There is no connection to the broker at this moment."""


class LostAtOnce(NotConnected):
    """The connection ended within a second of the message: it may be the message's doing."""


class NotNow(BusError):
    """The broker would not take a message at this moment: its quota is used up, say."""


class Refused(BusError):
    """The broker refused a connection, a subscription or a message for good."""


class TooLarge(Refused):
    """The broker carries no message of that size, whatever it says.

    ``over_bytes`` is by how much it is too large, 0 where that is not known.
    """

    def __init__(self, reason: str, *, over_bytes: int = 0) -> None:
        super().__init__(reason)
        self.over_bytes = over_bytes


class Fenced(RecServeError):
    """A newer process runs under this agent's name, and this one has to end."""


class AgentRunning(RecServeError):
    """Another process on this machine runs as this agent; names its pid and the lock."""


class StoreError(RecServeError):
    """A file that outlives the process cannot be read or written; names the file."""


class MemoryRefused(RecServeError):
    """A memory does not do what it was asked; says why."""


class StoreFull(StoreError):
    """The disk, or the room that the settings give a file on it, is full."""


class MalformedMessage(RecServeError):
    """Bytes or a topic that carry no message of ours."""


class OtherVersion(MalformedMessage):
    """A message of a version that this agent does not speak."""


_REASON_CHARACTERS: Final = 500
_PLACES: Final = re.compile(r"(?<![\w./])/(?:[^\s/'\",:;()]+/)+")


class PromptError(RecServeError):
    """One prompt cannot be answered; ``code`` names the fault on the wire.

    Its text travels, so it is cut where it is made: whatever a prompt had in it is quoted there.
    """

    code: ClassVar[str] = "error"

    def __init__(self, reason: str) -> None:
        super().__init__(cut(reason))


def cut(reason: str) -> str:
    """Return a reason that may travel: short, without control characters, and without places.

    Where a file lies on the machine that failed is for its log, not for whoever asked.
    """
    reason = _PLACES.sub("…/", reason)
    if len(reason) > _REASON_CHARACTERS:
        reason = f"{reason[: _REASON_CHARACTERS - 1]}…"
    if reason.isprintable():
        return reason
    return "".join(character if character.isprintable() else "\ufffd" for character in reason)


class InvalidPrompt(PromptError):
    """The prompt is empty, too long, not UTF-8 or of the wrong type."""

    code = "invalid_prompt"


class UnknownTask(PromptError):
    """Nobody here answers such a task."""

    code = "unknown_task"


class ModelFailed(PromptError):
    """The model raised on this prompt."""

    code = "model_failed"


class Quarantined(PromptError):
    """The prompt failed, or killed its agent, too often and is not tried any more."""

    code = "quarantined"


class Lost(PromptError):
    """The prompt was accepted and stored, and cannot be read any more."""

    code = "lost"


class AnswerTooLong(PromptError):
    """The prompt was answered, but the answer fits into no message."""

    code = "too_long"


class Busy(PromptError):
    """The queue is full, or too long for the time this prompt has left."""

    code = "busy"


class ServerAway(Busy):
    """The server that runs the model takes nothing now; nothing has begun there.

    ``again_s`` is when it wants to be asked again, if it says so. Where that is ``hopeless``,
    somebody has to see to the server, the key or the settings first.
    """

    def __init__(
        self, reason: str, *, again_s: float | None = None, hopeless: bool = False
    ) -> None:
        super().__init__(reason)
        self.again_s = again_s
        self.hopeless = hopeless


class Expired(PromptError):
    """The prompt's time ran out before an answer was there."""

    code = "expired"


class Stopping(PromptError):
    """The agent is shutting down and takes nothing new."""

    code = "stopping"
