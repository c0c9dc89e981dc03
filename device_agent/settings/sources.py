"""Where a device takes prompts from by itself: streams that never end, each with a name.

That no answer comes back as a prompt is the business of ``device_agent.settings.circles``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from shared.errors import InvalidPrompt, SettingsError
from shared.settings.base import MANY, Closed, Count, Seconds
from shared.tasks import Task, check

STANDARD_INPUT: Final = "-"
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class _Source(Closed, frozen=True, kw_only=True):
    """What all sources have."""

    task: Annotated[Task, Meta(description="kind of answer wanted")] = "classify"
    options: Annotated[
        dict[str, Any], Meta(description="how answers are wanted: the task's options, by name")
    ] = msgspec.field(default_factory=dict)
    timeout_s: Annotated[Seconds | None, Meta(description="time for a prompt; none: the usual")] = (
        None
    )
    priority: Annotated[
        int, Meta(ge=-MANY, le=MANY, description="who goes first when several sources wait")
    ] = 0
    in_flight: Annotated[Count, Meta(description="prompts of the source under way at once")] = 16
    queue_prompts: Annotated[Count, Meta(description="prompts that may wait besides")] = 1_000
    prompts_s: Annotated[
        float, Meta(ge=0, le=MANY, description="prompts taken per second, at most; 0: no limit")
    ] = 0.0

    def __post_init__(self) -> None:
        """Refuse options that the task does not have, before any prompt meets them."""
        try:
            check(self.task, self.options)
        except InvalidPrompt as error:
            raise SettingsError(f"options: {error}") from error


class MqttSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """Messages that other programs publish on the device's broker.

    When its queue is full the oldest message is dropped and counted: a broker cannot be made to
    wait without holding up the results that come over the same connection.
    """

    topics: Annotated[str, Meta(min_length=1, description="MQTT filter, as in factory/+/log")]
    text: Annotated[
        str, Meta(description="JSON pointer to the text, as in /message; empty: the whole payload")
    ] = ""
    template: Annotated[
        str,
        Meta(description="the prompt: {text}, {1} for what the first + stood for, {/pointer}"),
    ] = "{text}"
    answer_to: Annotated[
        str, Meta(description="topic of the answer; {1} for what the first + stood for")
    ]
    answer_as: Annotated[
        Literal["json", "label"], Meta(description="the whole answer, or the label alone")
    ] = "json"
    retain: Annotated[bool, Meta(description="let the broker keep the last answer")] = False
    retained: Annotated[
        Literal["once", "skip", "take"],
        Meta(
            description="messages that the broker kept: each once, none, or again at each connect"
        ),
    ] = "once"

    def __post_init__(self) -> None:
        """Refuse a filter that is none, and templates that name nothing."""
        super().__post_init__()
        if (fault := _filter_fault(self.topics)) is not None:
            raise SettingsError(f"topics {self.topics!r} is no MQTT filter: {fault}")
        if "#" in self.answer_to or "+" in self.answer_to or not self.answer_to:
            raise SettingsError(f"answer_to {self.answer_to!r} is no topic to publish on")
        wildcards = self.topics.split("/").count("+")
        for name in PLACEHOLDER.findall(self.answer_to):
            _check(name, wildcards, "answer_to")
        for name in PLACEHOLDER.findall(self.template):
            if name != "text" and not name.startswith("/"):
                _check(name, wildcards, "template")
        if self.text and not self.text.startswith("/"):
            raise SettingsError(f"text {self.text!r} is no JSON pointer: it begins with '/'")

    @property
    def answers(self) -> str:
        """The filter of all topics that answers may go to."""
        return "/".join(
            "+" if PLACEHOLDER.search(level) else level for level in self.answer_to.split("/")
        )


class FileSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """The lines that are written to a growing file, as ``tail -F`` shows them.

    When its queue is full it stops reading: the file keeps what is there. With a ``state`` folder
    a restart goes on after the last line that was answered; without one it begins anew, as ``from``
    says.
    """

    path: Annotated[str, Meta(min_length=1, description="the file; it may come later, and rotate")]
    answers: Annotated[str, Meta(min_length=1, description="file the answers are appended to")]
    begin: Annotated[
        Literal["start", "end"] | None,
        Meta(
            description="where to begin in a file that was not read before; none: at its start "
            "with a state folder, at its end without one, as tail -f does"
        ),
    ] = msgspec.field(default=None, name="from")


class FolderSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="folder"):
    """The files that are put into a folder, each a prompt; whole ones: move them in.

    An answered file moves to ``done/``, one without an answer to ``failed/``, with the answer
    beside it as JSON; nothing there is overwritten. Links are not followed.
    """

    path: Annotated[str, Meta(min_length=1, description="the folder")]
    pattern: Annotated[str, Meta(min_length=1, description="names of the files")] = "*.txt"

    def __post_init__(self) -> None:
        """Refuse a pattern that would leave the folder, or name nothing in it."""
        super().__post_init__()
        if "/" in self.pattern:
            raise SettingsError(
                f"pattern {self.pattern!r} names files in other folders; give each a source"
            )


class LinesSource(_Source, frozen=True, kw_only=True, tag_field="kind", tag="lines"):
    """The lines of a file that ends, or of standard input; answers go to standard output.

    When its queue is full it stops reading. The agent ends when all sources of this kind have.
    """

    path: Annotated[str, Meta(min_length=1, description="the file; '-' is standard input")]


Source = MqttSource | FileSource | FolderSource | LinesSource


def _filter_fault(topics: str) -> str | None:
    *above, last = topics.split("/")
    if "\0" in topics:
        return "it holds a NUL"
    if any("#" in level for level in above) or ("#" in last and last != "#"):
        return "'#' may only stand alone, as the last level"
    if any("+" in level and level != "+" for level in (*above, last)):
        return "'+' stands for a whole level, alone"
    return None


def _check(name: str, wildcards: int, key: str) -> None:
    if not (name.isdigit() and 1 <= int(name) <= wildcards):
        known = ", ".join(f"{{{number}}}" for number in range(1, wildcards + 1)) or "none"
        raise SettingsError(f"{key} names {{{name}}}; the topics' wildcards give {known}")
