"""A source of MQTT messages: other programs publish, the device labels what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from device_agent.publishing import publish_until_taken
from device_agent.sources.stream import Event, Stream
from shared.messages import Failure
from shared.source_settings import PLACEHOLDER

if TYPE_CHECKING:
    from device_agent.app import Device
    from device_agent.sources.turns import Turns
    from shared.bus import Message
    from shared.messages import Result
    from shared.source_settings import MqttSource


class _Unreadable(Exception):
    """A message holds no text where it should."""


class MqttStream:
    """Reads the messages of one filter and publishes an answer for each."""

    def __init__(self, name: str, settings: MqttSource, device: Device, turns: Turns) -> None:
        self._settings = settings
        self._bus = device.parts.bus
        self._wildcards = [
            place for place, level in enumerate(settings.topics.split("/")) if level == "+"
        ]
        self._stream = Stream(name, settings, device, turns, self._publish)

    async def run(self) -> None:
        """Label messages until cancelled."""
        await self._bus.subscribe(self._settings.topics, self._take)
        await self._stream.run()

    def _take(self, message: Message) -> None:
        self._bus.acknowledge(message)
        try:
            text = self._prompt(message)
        except _Unreadable as error:
            self._stream.fault("unreadable", f"{message.topic}: {error}")
            return
        self._stream.offer(Event(uuid4(), text, message.topic))

    def _prompt(self, message: Message) -> str:
        """Return the prompt that a message makes."""
        settings = self._settings
        try:
            plain = message.payload.decode()
        except UnicodeDecodeError as error:
            raise _Unreadable(f"not UTF-8 ({error.reason})") from None
        names = PLACEHOLDER.findall(settings.template)
        needs_json = settings.text or any(name.startswith("/") for name in names)
        tree = _decode(plain) if needs_json else None
        text = _text(tree, settings.text) if settings.text else plain

        def fill(name: str) -> str:
            if name == "text":
                return text
            return _text(tree, name) if name.startswith("/") else self._level(message.topic, name)

        return PLACEHOLDER.sub(lambda found: fill(found[1]), settings.template)

    async def _publish(self, event: Event, result: Result, answer: dict[str, Any]) -> None:
        topic = PLACEHOLDER.sub(
            lambda found: self._level(event.place, found[1]), self._settings.answer_to
        )
        if self._settings.answer_as == "label" and not isinstance(result.outcome, Failure):
            payload = result.outcome.label.encode()
        else:
            payload = msgspec.json.encode(answer | {"topic": event.place})
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
        raise _Unreadable(f"not JSON ({error})") from None


def _text(tree: Any, pointer: str) -> str:
    """Return the text, number or truth value at a JSON pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
        elif isinstance(tree, list) and key.isdigit() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            raise _Unreadable(f"nothing at {pointer}")
    if isinstance(tree, str):
        return tree
    if isinstance(tree, bool | int | float):
        return msgspec.json.encode(tree).decode()
    raise _Unreadable(f"no text at {pointer}")
