"""A source of MQTT messages: other programs publish, the device labels what they say.

A topic of labels carries labels and nothing else: what got no label is counted and said. Which
retained messages were seen before is the business of ``device_agent.sources.seen``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

import msgspec

from device_agent.api.publishing import publish_until_taken
from device_agent.settings.sources import PLACEHOLDER
from device_agent.sources.seen import Said, SeenMessages
from device_agent.sources.stream import SourceItem, SourceWorker
from shared.messages import Failure
from shared.tasks import to_line

if TYPE_CHECKING:
    from pathlib import Path

    from device_agent.app import Device
    from device_agent.settings.sources import MqttSource
    from device_agent.sources.priority_semaphore import PrioritySemaphore
    from shared.bus import Message
    from shared.errors import Refused
    from shared.messages import Result

_NAMESPACE = UUID("6d0c8b51-3f1c-4f0b-9c8e-2f6a4f1b7a90")


class _NoPrompt(Exception):
    """A message holds no text where it should."""


class MqttStream:
    """Reads the messages of one filter and publishes an answer for each."""

    def __init__(
        self,
        name: str,
        settings: MqttSource,
        device: Device,
        turns: PrioritySemaphore,
        state: Path | None,
    ) -> None:
        self._settings = settings
        self._bus = device.parts.bus
        self._limit_bytes = device.settings.limits.prompt_bytes
        self._wildcards = [
            place for place, level in enumerate(settings.topics.split("/")) if level == "+"
        ]
        self._stream = SourceWorker(name, settings, device, turns, self._publish)
        path = state / f"{device.settings.agent}.{name}.seen" if state else None
        self._seen = SeenMessages(path if settings.retained == "once" else None)

    async def run(self) -> None:
        """Label messages until cancelled."""
        try:
            self._seen.load()
        except OSError as error:
            self._stream.fault("forgotten", f"retained messages: {error.strerror}")
        self._bus.watch(lambda connected: None if connected else self._seen.lost())
        await self._bus.subscribe(self._settings.topics, self._take, refused=self._refused)
        try:
            await self._stream.run(self._remember)
        finally:
            self._save()

    def _refused(self, error: Refused) -> None:
        self._stream.fault("refused", f"{error}; tried again at the next connection")

    async def _remember(self) -> None:
        while True:
            await self._seen.changed()
            self._save()

    def _save(self) -> None:
        try:
            self._seen.save()
        except OSError as error:
            self._stream.fault("not remembered", f"retained messages: {error.strerror}")

    def _take(self, message: Message) -> None:
        self._bus.acknowledge(message)
        said = Said.by(message)
        new = self._seen.take(said, retained=message.retained)
        if not message.payload:  # it clears what was retained, and says nothing
            self._seen.note(said)
            return
        wanted = {"once": new, "skip": False, "take": True}[self._settings.retained]
        if message.retained and not wanted:
            return
        try:
            text = self._prompt(message)
        except _NoPrompt as error:
            self._stream.fault("unreadable", f"{message.topic}: {error}")
            self._seen.note(said)
            return
        # The same retained message is the same prompt, should it end this process.
        prompt_id = uuid5(_NAMESPACE, f"{said}") if message.retained else uuid4()
        # What is far too long is refused all the same, and need not wait until then.
        self._stream.offer(SourceItem(prompt_id, text[: self._limit_bytes + 1], said))

    def _prompt(self, message: Message) -> str:
        """Return the prompt that a message makes."""
        settings = self._settings
        try:
            plain = message.payload.decode()
        except UnicodeDecodeError as error:
            raise _NoPrompt(f"not UTF-8 ({error.reason})") from None
        names = PLACEHOLDER.findall(settings.template)
        needs_json = settings.text or any(name.startswith("/") for name in names)
        tree = _decode(plain) if needs_json else None
        text = _text(tree, settings.text) if settings.text else plain

        def fill(name: str) -> str:
            if name == "text":
                return text
            return _text(tree, name) if name.startswith("/") else self._level(message.topic, name)

        return PLACEHOLDER.sub(lambda found: fill(found[1]), settings.template)

    async def _publish(self, event: SourceItem, result: Result, answer: dict[str, Any]) -> None:
        said: Said = event.place
        topic = PLACEHOLDER.sub(
            lambda found: self._level(said.topic, found[1]), self._settings.answer_to
        )
        if self._settings.answer_as == "json":
            await self._say(topic, msgspec.json.encode(answer | {"topic": said.topic}))
        elif isinstance(result.outcome, Failure):
            reason = f"{said.topic}: {result.outcome.code}: {result.outcome.reason}"
            self._stream.fault("failed", reason)
        else:
            await self._say(topic, to_line(result.outcome).encode())
        self._seen.note(said)

    async def _say(self, topic: str, payload: bytes) -> None:
        retain = self._settings.retain
        if not await publish_until_taken(self._bus, topic, payload, retain=retain):
            self._stream.fault("refused", f"the broker refuses {topic}")

    def _level(self, topic: str, name: str) -> str:
        """Return what a numbered wildcard stood for."""
        return topic.split("/")[self._wildcards[int(name) - 1]]


def _decode(plain: str) -> Any:
    try:
        return msgspec.json.decode(plain)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _NoPrompt(f"not JSON ({error})") from None


def _text(tree: Any, pointer: str) -> str:
    """Return the text, number or truth value at a JSON pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
        elif isinstance(tree, list) and key.isdigit() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            raise _NoPrompt(f"nothing at {pointer}")
    if isinstance(tree, str):
        return tree
    if isinstance(tree, bool | int | float):
        return msgspec.json.encode(tree).decode()
    raise _NoPrompt(f"no text at {pointer}")
