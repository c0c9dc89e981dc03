"""Every topic, made and read here and nowhere else; ``shared.wire.topic_table`` lists them.

Who a message is from and for is read from its topic, never from its payload, so that a broker's
access list can hold every agent to its own name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from shared.errors import MalformedMessage, SettingsError
from shared.tasks import TASKS, Task

VERSION = "v1"
NAME_BYTES = 64
ControlKind = Literal["report", "state", "telemetry", "explained", "desired"]
NightKind = Literal["lesson", "let-go", "taught", "ask"]
_NAMES: Final = 4_096


class PromptAddress(NamedTuple):
    """The identities in a prompt's topic; ``sender`` is the origin itself or who passed it on."""

    agent: str
    task: Task
    origin: str
    sender: str


class ControlAddress(NamedTuple):
    """The identities in a topic of the control plane."""

    agent: str
    kind: str


class NightAddress(NamedTuple):
    """The identities in a topic of nights."""

    writer: str
    reader: str
    kind: str


class StatusAddress(NamedTuple):
    """The identities in a status topic."""

    tier: str
    agent: str


def check_name(name: str, what: str) -> str:
    """Return ``name`` if it can stand as one level of a topic, else raise ``SettingsError``."""
    fault = _fault(name)
    if fault:
        raise SettingsError(f"{what} {name!r} {fault}; use letters, digits, '-', '_' and '.'")
    return name


def is_name(name: str) -> bool:
    """Say whether ``name`` can stand as one level of a topic."""
    return not _fault(name)


class Topics:
    """The topics below one root."""

    def __init__(self, root: str = "recserve") -> None:
        for level in root.split("/"):
            check_name(level, "topic root")
        self.root = root
        self._base = f"{root}/{VERSION}/"

    def prompt(self, agent: str, task: Task, origin: str, sender: str = "") -> str:
        """Return the topic of a prompt of ``origin`` for one agent (or a pool).

        ``sender`` is whoever puts it there; it takes a level of its own unless it is the origin.
        """
        topic = f"{self._base}prompts/{agent}/{task}/{origin}"
        return topic if sender in ("", origin) else f"{topic}/{sender}"

    def prompts(self, agent: str, *, pool: str = "") -> str:
        """Return the filter for all prompts to ``agent``; shared by ``pool`` where one is named."""
        topics = f"{self._base}prompts/{agent}/#"
        return f"$share/{pool}/{topics}" if pool else topics

    def prompts_of(self, origin: str, agent: str = "+") -> str:
        """Return the filter for the prompts that an origin sends itself, to an agent or any."""
        return f"{self._base}prompts/{agent}/+/{origin}"

    def prompts_through(self, sender: str, agent: str) -> str:
        """Return the filter for prompts of any origin that ``sender`` passes on to ``agent``."""
        return f"{self._base}prompts/{agent}/+/+/{sender}"

    def results(self, origin: str) -> str:
        """Return the topic on which ``origin`` hears results."""
        return f"{self._base}results/{origin}"

    def status(self, tier: str, agent: str) -> str:
        """Return the retained status topic of one agent (``+`` for all of the tier)."""
        return f"{self._base}status/{tier}/{agent}"

    @property
    def statuses(self) -> str:
        """Return the filter for the statuses of all agents."""
        return f"{self._base}status/#"

    def ask(self, device: str) -> str:
        """Return the topic on which a device is asked."""
        return f"{self._base}ask/{device}"

    def answers(self, device: str, asker: str = "") -> str:
        """Return the topic on which a device answers all who asked, or one ``asker`` alone."""
        topic = f"{self._base}answers/{device}"
        return f"{topic}/{asker}" if asker else topic

    def control(self, agent: str, kind: ControlKind) -> str:
        """Return the topic on which one agent (``+`` for all) and the centre meet."""
        return f"{self._base}control/{agent}/{kind}"

    def memory_ask(self, agent: str) -> str:
        """Return the topic on which an edge's memory (``+`` for all) is asked."""
        return f"{self._base}memory/{agent}/ask"

    def memory_answers(self, agent: str) -> str:
        """Return the topic on which an edge's memory (``+`` for all) answers."""
        return f"{self._base}memory/{agent}/answers"

    def memory_offers(self, agent: str) -> str:
        """Return the topic on which an edge (``+`` for all) offers entries to others."""
        return f"{self._base}memory/{agent}/offers"

    @property
    def memory_epoch(self) -> str:
        """Return the topic of the moment before which no remembered answer counts."""
        return f"{self._base}memory/epoch"

    @property
    def center(self) -> str:
        """Return the topic on which the centre says that it is there."""
        return f"{self._base}center"

    @property
    def plan(self) -> str:
        """Return the topic of the plan that stands."""
        return f"{self._base}placement/plan"

    @property
    def rounds(self) -> str:
        """Return the topic on which rounds of jobs are told."""
        return f"{self._base}placement/round"

    def night(self, writer: str, reader: str, kind: NightKind | Literal["+"]) -> str:
        """Return the topic on which one agent (``+`` for all) tells another of nights."""
        return f"{self._base}nights/{writer}/{reader}/{kind}"

    def night_pieces(self, writer: str, reader: str, sha256: str) -> str:
        """Return the topic on which one agent gives another the pieces of a file."""
        return f"{self._base}nights/{writer}/{reader}/{sha256}"

    def manifest(self, digest: str) -> str:
        """Return the topic of a bundle's manifest (``+`` for all)."""
        return f"{self._base}models/manifest/{digest}"

    def pieces_asked(self, agent: str) -> str:
        """Return the topic on which an agent (``+`` for all) asks for pieces of files."""
        return f"{self._base}models/ask/{agent}"

    def pieces(self, sha256: str) -> str:
        """Return the topic on which the pieces of a file (``+`` for all) are sent."""
        return f"{self._base}models/data/{sha256}"

    def read_control(self, topic: str) -> ControlAddress:
        """Take a topic of the control plane apart, or raise ``MalformedMessage``."""
        return ControlAddress(*self._levels(topic, "control", 2))

    def read_manifest(self, topic: str) -> str:
        """Return the digest in a manifest's topic, or raise ``MalformedMessage``."""
        return self._levels(topic, "models/manifest", 1)[0]

    def read_prompt(self, topic: str) -> PromptAddress:
        """Take a prompt's topic apart, or raise ``MalformedMessage``."""
        agent, task, origin, *passed_on = self._levels(topic, "prompts", 3, 4)
        sender = passed_on[0] if passed_on else origin
        if passed_on and sender == origin:
            raise MalformedMessage(f"topic {topic!r} names its origin as one who passed it on")
        for known in TASKS:
            if task == known:
                return PromptAddress(agent, known, origin, sender)
        raise MalformedMessage(f"topic {topic!r} names the unknown task {task!r}")

    def read_night(self, topic: str) -> NightAddress:
        """Take a topic of nights apart, or raise ``MalformedMessage``."""
        return NightAddress(*self._levels(topic, "nights", 3))

    def read_status(self, topic: str) -> StatusAddress:
        """Take a status topic apart, or raise ``MalformedMessage``."""
        return StatusAddress(*self._levels(topic, "status", 2))

    def _levels(self, topic: str, kind: str, *counts: int) -> list[str]:
        prefix = f"{self._base}{kind}/"
        levels = topic[len(prefix) :].split("/") if topic.startswith(prefix) else []
        if len(levels) not in counts or any(_fault(level) for level in levels):
            raise MalformedMessage(f"topic {topic!r} is not one of {prefix}…")
        return levels


def _fault(name: str) -> str:
    if not name:
        return "is empty"
    if len(name) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    return _fault_of_short(name)


@lru_cache(_NAMES)
def _fault_of_short(name: str) -> str:
    """Look at a name letter by letter: the same few come with every message."""
    if len(name.encode("utf-8", "replace")) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    if name.startswith("$"):
        return "starts with '$', which brokers keep for themselves"
    for character in name:
        if character in "/+#" or character.isspace() or unicodedata.category(character)[0] == "C":
            return f"contains {character!r}"
    return ""
