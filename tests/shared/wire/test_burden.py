"""The burden counts the bytes that the MQTT library really writes."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.mqtt.connection import MqttConnection
from shared.bus.mqtt.settings import MqttSettings
from shared.bus.mqtt.terms import Terms
from shared.wire.burden import link, links, packet_bytes
from tests.support.servers import serving

# Around every size at which the length field of a packet grows by a byte.
SIZES = [0, 1, 60, 100, 101, 102, 127, 128, 1_000, 16_350, 16_360, 16_384, 70_000, 2_097_152]


@pytest.mark.parametrize("topic", ["recserve/v1/results/device-1", "größe/é"])
async def test_a_packet_has_the_bytes_that_are_counted(topic: str) -> None:
    written: asyncio.Queue[int] = asyncio.Queue()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(b"\x20\x02\x00\x00")
        for packet_id in range(1, len(SIZES) + 1):
            written.put_nowait(await read_packet(reader))
            writer.write(b"\x40\x02" + packet_id.to_bytes(2, "big"))
        await reader.read()

    async with serving(count) as port:
        settings = MqttSettings(port=port)
        connection = MqttConnection(settings, "d", will=None, version=4, deliver=lambda *_: None)
        await connection.open(5)
        for size in SIZES:
            payload = bytes(size)
            await connection.publish(topic, payload, Terms())
            assert await written.get() == packet_bytes(topic, payload), f"payload of {size} bytes"
        connection.abandon()


async def read_packet(reader: asyncio.StreamReader) -> int:
    """Read one MQTT packet and return its size in bytes."""
    header = await reader.readexactly(2)
    remaining, shift = header[1] & 0x7F, 7
    while header[-1] & 0x80:
        header += await reader.readexactly(1)
        remaining |= (header[-1] & 0x7F) << shift
        shift += 7
    return len(header) + len(await reader.readexactly(remaining))


def test_a_result_crosses_every_link_between_its_tiers() -> None:
    assert links(["device", "edge", "cloud"]) == ["device-edge", "edge-cloud"]
    assert links(["device"]) == []
    assert link("device", "edge") == "device-edge"
