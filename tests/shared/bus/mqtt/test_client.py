"""The driver of a client: who gives up on a connect that is under way leaves nothing open."""

from __future__ import annotations

import asyncio
import gc
import threading

from shared.bus.mqtt.client import LoopAdapter
from shared.settings.address import Address


class SlowClient:
    """A client whose broker takes its time to accept."""

    def __init__(self) -> None:
        self.accepted = threading.Event()
        self.connecting = threading.Event()
        self.refuses = False
        self.disconnects = 0

    def connect(self, host: str, port: int, keepalive_s: int) -> None:
        assert (host, port, keepalive_s) == ("broker", 1883, 15)
        self.connecting.set()
        assert self.accepted.wait(5)
        if self.refuses:
            raise ConnectionRefusedError

    def disconnect(self) -> None:
        self.disconnects += 1


def driver(client: SlowClient) -> LoopAdapter:
    return LoopAdapter(client, lambda reason: None)  # type: ignore[arg-type] # as much of one as this needs


async def until_set(event: threading.Event) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, 5)


async def test_a_connect_that_is_given_up_is_undone_when_it_comes_through() -> None:
    client = SlowClient()
    connecting = asyncio.create_task(driver(client).connect(Address("broker", 1883), 15))
    await until_set(client.connecting)
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    assert client.disconnects == 0, "there is nothing to disconnect yet"

    client.accepted.set()
    await asyncio.get_running_loop().shutdown_default_executor()

    assert client.disconnects == 1


async def test_a_connect_that_is_given_up_and_then_refused_is_not_reported() -> None:
    client, loop, reported = SlowClient(), asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    client.refuses = True
    connecting = asyncio.create_task(driver(client).connect(Address("broker", 1883), 15))
    await until_set(client.connecting)
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)

    client.accepted.set()
    await loop.shutdown_default_executor()
    await asyncio.sleep(0)
    del connecting  # and with its frames what it waited for
    gc.collect()

    assert reported == []


async def test_a_connect_that_is_wanted_is_left_alone() -> None:
    client = SlowClient()
    client.accepted.set()
    await driver(client).connect(Address("broker", 1883), 15)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert client.disconnects == 0
