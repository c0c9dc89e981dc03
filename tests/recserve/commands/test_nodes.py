"""``recserve nodes`` on a real broker: what agents told is printed, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from recserve.cli import main
from shared.membership.status import Status, encode_status
from shared.wire.control import NodeReport, encode_word
from shared.wire.topics import Topics
from tests.support.wires import settled

if TYPE_CHECKING:
    from tests.support.wires import MqttWire


async def asked(wire: MqttWire, *flags: str) -> str:
    arguments = ["nodes", "--port", str(wire.broker.port), "--root", wire.root, "--listen-s", "1"]
    result = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, *flags])
    assert result.exit_code == 0, result.output
    return result.output


async def test_every_agent_is_told_from_what_the_broker_has_kept(mosquitto: MqttWire) -> None:
    assert "no agents" in await asked(mosquitto)
    topics, bus = Topics(mosquitto.root), await settled(mosquitto.bus("agent"))
    status = Status("online", 5, ("classify",), "bag", boot="b1", bundle="abcdef")
    report = NodeReport(tier="edge", release="9.9", processor="Cortex-A76", cores=4)
    await bus.publish(topics.status("edge", "pi-1"), encode_status(status), retain=True)
    await bus.publish(topics.control("pi-1", "report"), encode_word(report), retain=True)

    [line] = (await asked(mosquitto, "--json")).splitlines()
    told = json.loads(line)
    assert (told["name"], told["tier"], told["life"]) == ("pi-1", "edge", "suspect")
    assert told["status"] == json.loads(encode_status(status))
    assert told["report"] == json.loads(encode_word(report))
    table = await asked(mosquitto)
    for said in ("pi-1", "bag", "suspect"):
        assert said in table
