"""The port to the wire: publish, hint, (un)subscribe, acknowledge, word of the connection.

Two buses stand behind it: ``shared.bus.mqtt.bus`` over any broker and ``shared.bus.memory`` inside
one process. Delivery is at least once while a connection lasts and nothing is kept across
connections, so whoever uses a bus repeats what was not answered and ignores what it has seen.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple, Protocol

from shared.errors import Refused


class Message(NamedTuple):
    """One message as it came in; ``token`` is the bus's own, for ``acknowledge``.

    ``response_topic`` and ``correlation`` are where its sender wants an answer, and what it wants
    to know it by (MQTT 5, 4.10).
    """

    topic: str
    payload: bytes
    retained: bool = False
    token: object = None
    response_topic: str = ""
    correlation: bytes = b""


class Will(NamedTuple):
    """What the broker publishes, retained, when a client is lost without a goodbye."""

    topic: str
    payload: bytes


class Published(enum.Enum):
    """What the broker said of a published message."""

    TAKEN = "taken"
    """It has the message; that proves nothing about who will read it."""
    NO_SUBSCRIBER = "no subscriber"
    """It has the message and nobody to give it to (brokers that speak MQTT 5 may say so)."""


Deliver = Callable[[Message], None]
"""Takes one message and only puts it somewhere: it runs inside the bus's network code."""


NotedRefusal = Callable[[Refused], None]
"""Hears that the broker refuses a subscription that the agent can do without."""


class Bus(Protocol):
    """One client's connection to a broker, kept up for as long as the bus is open."""

    async def start(self) -> None:
        """Begin to connect, and return at once: the broker may come later."""

    async def wait_connected(self, timeout_s: float) -> None:
        """Return when connected; ``NotConnected`` with the last cause after ``timeout_s``."""

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: float | None = None,
        response_topic: str = "",
        correlation: bytes = b"",
    ) -> Published:
        """Publish at QoS 1 and return when the broker has it.

        After ``expiry_s`` nobody wants the message any more; MQTT 5 brokers then drop it. A
        question may name a ``response_topic``, and its answer carries its ``correlation``; below
        MQTT 5 neither travels. Raises ``NotConnected`` when the connection is
        or gets lost (``LostAtOnce`` right after the message), or the broker said nothing by then;
        ``NotNow`` when it will not have the message at this moment, ``Refused`` when it never will,
        and ``TooLarge``, before anything is sent, when it carries no message of that size.
        """

    def send_soon(self, topic: str, payload: bytes) -> None:
        """Send a hint at QoS 0, if that can be done now: one that may be lost, and nobody asks for.

        Returns at once. Not connected, too large or too many on their way: the hint is dropped and
        counted in ``hints_dropped``; what happens to the others nobody is told. Messages that are
        published keep their order; hints have none, neither among these nor to them. Raises
        ``Refused`` for a topic on which nothing can go out.
        """

    @property
    def hints_dropped(self) -> int:
        """How many hints this bus dropped itself."""

    async def subscribe(
        self, topics: str, deliver: Deliver, *, refused: NotedRefusal | None = None
    ) -> None:
        """Hand every message that matches the filter to ``deliver``, now and after reconnects.

        Of several subscriptions that a message matches each is given it once. A broker that
        refuses one loses the connection, which is of no use then, and now raises ``Refused``; with
        ``refused`` that is told instead, at each connection anew, and the rest goes on.
        """

    def unsubscribe(self, topics: str, deliver: Deliver) -> None:
        """Hand no more of a filter to ``deliver``, at once; without effect if it has none of it.

        The broker is told, without waiting for its word, when nobody else here reads the filter.
        """

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that the message's work is done; without effect once disconnected."""

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call ``changed`` with True after each (re)connect and False after each loss.

        A bus that is connected already says so at once.
        """

    def reconnect(self, reason: str, *, will: Will | None = None) -> None:
        """Drop the connection, if there is one, and make a new one; ``will`` replaces the old.

        For who knows better than the network that a connection is of no use. Whatever waits on it
        fails with ``NotConnected``, which says ``reason``.
        """

    async def close(self) -> None:
        """Wait for what is in flight, then say goodbye; wills are not sent."""
