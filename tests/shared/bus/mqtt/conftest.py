"""MQTT buses that are closed when their test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.bus.mqtt.bus import MqttBus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shared.bus import Will
    from shared.bus.mqtt.settings import MqttSettings


@pytest.fixture
async def open_bus() -> AsyncIterator[Callable[..., MqttBus]]:
    """Makes MQTT buses from settings and closes them."""
    made: list[MqttBus] = []

    def make(settings: MqttSettings, name: str, will: Will | None = None) -> MqttBus:
        made.append(MqttBus(settings, name, will=will))
        return made[-1]

    yield make
    for bus in made:
        await bus.close()
