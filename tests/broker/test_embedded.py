"""The embedded broker brings every client what its subscriptions match, and nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.processes import BrokerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LAST = "the/last"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    running = BrokerProcess("embedded", tmp_path / "broker").start()
    yield running
    running.stop()


class Client:
    """A client of another make, that shows all that it is sent."""

    def __init__(self, port: int, *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._topics = [(topic, 1) for topic in (*topics, LAST)]
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10), "not subscribed"

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def all_heard(self) -> list[tuple[str, bytes]]:
        """What came until a message of our own did, which no other can overtake."""
        self.publish(LAST, b"")
        assert self._ended.wait(10), "our own message did not come back"
        return self.heard

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, *_: Any) -> None:
        self._client.subscribe(self._topics)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == LAST:
            self._ended.set()
        else:
            self.heard.append((message.topic, bytes(message.payload)))


@pytest.fixture
def connect(broker: BrokerProcess) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def new(*topics: str) -> Client:
        clients.append(Client(broker.port, *topics))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


def test_what_others_have_retained_comes_to_nobody_who_did_not_ask_for_it(
    connect: Callable[..., Client],
) -> None:
    boiler = connect("plant/+/state", "plant/boiler/state")
    boiler.publish("plant/boiler/state", b"hot", retain=True)

    assert connect("letters/in").all_heard() == []


def test_what_is_retained_comes_once_to_whoever_asks_for_it(
    connect: Callable[..., Client],
) -> None:
    boiler = connect("plant/#", "plant/+/state")
    boiler.publish("plant/boiler/state", b"hot", retain=True)
    boiler.publish("plant/pump/state", b"still", retain=True)

    assert connect("plant/boiler/+").all_heard() == [("plant/boiler/state", b"hot")]


def test_clients_that_come_and_go_while_others_connect_disturb_nobody(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    first = Client(broker.port, *(f"many/{number}/+" for number in range(50)))
    for number in range(50):
        first.publish(f"many/{number}/state", b"on" * 500, retain=True)
    done = threading.Event()

    def come_and_go(name: str) -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            Client(broker.port, f"guest/{name}/{turn}").close()

    guests = [threading.Thread(target=come_and_go, args=(name,)) for name in "abc"]
    for guest in guests:
        guest.start()
    for _ in range(5):
        listener = Client(broker.port, "many/+/state")
        assert len(listener.all_heard()) == 50
        listener.close()
    done.set()
    for guest in guests:
        guest.join()
    first.close()

    assert "dictionary changed size" not in (tmp_path / "broker" / "stderr.txt").read_text()
