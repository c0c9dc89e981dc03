"""The embedded broker: amqtt, on loopback, in a process of its own.

``python -m broker.embedded 127.0.0.1 1883``. It speaks MQTT 3.1.1 and is enough for a demo, for
tests and for one machine; ``$share`` pools need Mosquitto or another full broker, and so do
clients that insist on MQTT 5.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

from amqtt.broker import Broker
from amqtt.errors import BrokerError
from amqtt.mqtt.protocol.handler import ProtocolHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 200
_forgetful = ProtocolHandler.handle_puback


async def _patient(handler: Any, puback: Any) -> None:
    """Let the broker get ready for an acknowledgement before it is told of it.

    amqtt begins to wait for a PUBACK only some turns of its loop after it has written the message.
    A client that is quick is told off, and the connection stands still for five seconds.
    """
    for _ in range(_PATIENCE):
        if puback.packet_id in handler._puback_waiters:  # noqa: SLF001 - there is no other way
            break
        await asyncio.sleep(0)
    await _forgetful(handler, puback)


class _Broker(Broker):  # type: ignore[misc] # the library has no types
    """amqtt's broker without two faults of version 0.12.

    It hands everybody who connects what is retained on whatever topic anybody subscribes to; here
    it looks whether that session does. And it loops over the subscriptions while others come and
    go.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscriptions = _Steady()

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Any
    ) -> None:
        holders = self._subscriptions.get(subscription[0], ())
        if any(holder.client_id == session.client_id for holder, _ in holders):
            await super()._publish_retained_messages_for_subscription(subscription, session)


class _Steady(dict[str, Any]):
    """A mapping that may change while somebody loops over it: the loop sees what was there."""

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(super().__iter__()))

    def items(self) -> Any:
        return tuple(super().items())


async def run(host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT; return 1 if the port is taken."""
    ProtocolHandler.handle_puback = _patient
    broker = _Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    logging.disable()  # the library would print a traceback of what is said in one line here
    try:
        await broker.start()
    except (BrokerError, OSError) as error:
        sys.stderr.write(f"error: the embedded broker cannot listen on {host}:{port} ({error})\n")
        return 1
    finally:
        logging.disable(logging.NOTSET)
    await stopped.wait()
    await broker.shutdown()
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    sys.exit(asyncio.run(run(sys.argv[1], int(sys.argv[2]))))
