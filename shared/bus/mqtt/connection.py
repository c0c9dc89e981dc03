"""One MQTT connection, from CONNECT to its end; used once.

It is never reopened: a fresh client for each connection means that nothing waits in a library's
queue to be sent behind our backs. Messages are acknowledged by hand, callbacks only hand over, and
every word of the broker becomes a value or an error of ours. How the client is made and driven is
the business of ``shared.bus.mqtt.client``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from shared.bus import Message, Published, Will
from shared.bus.mqtt.client import LoopAdapter, new_client
from shared.bus.mqtt.copies import Copies, Packet
from shared.bus.mqtt.hints import Hints
from shared.errors import BusError, NotConnected, NotNow, Refused
from shared.settings.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from shared.bus.mqtt.settings import MqttSettings
    from shared.bus.mqtt.terms import Terms

_NO_MATCHING_SUBSCRIBERS = 0x10
_FAILURE = 0x80
_UNSUPPORTED_VERSION = (0x01, 0x84)
_NOT_NOW = (0x88, 0x89, 0x97, 0x9F)  # unavailable, busy, over quota, too many connections a second
_PUBLISH_NOT_NOW = (0x91, 0x97)  # packet identifier in use, over quota
_IN_FLIGHT = 100


class WrongProtocol(BusError):
    """The handshake ended as it does with a broker that does not speak this protocol version."""


class MqttConnection:
    """A paho client tied to the running event loop; ``lost`` is done when it ends."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        will: Will | None,
        version: int,
        deliver: Callable[[Message, list[str]], None],
        address: Address | None = None,
    ) -> None:
        """Make a connection to one broker, that of ``mqtt.host`` unless ``address`` says which.

        ``deliver`` takes each message with the filters that it is for.
        """
        self.address = address or Address(settings.host, settings.port)
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._version = version
        self._deliver = deliver
        self.packet_bytes: int | None = None
        """The largest packet that the broker takes, if it said so."""
        self.in_flight = asyncio.Semaphore(_IN_FLIGHT)
        """Entered for each message until it is acknowledged; a broker may allow fewer."""
        self._connack: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._published: dict[int, asyncio.Future[Published]] = {}
        self._subscribed: dict[int, asyncio.Future[None]] = {}
        self._hints = Hints()
        self._copies = Copies()
        self._identifies = False
        self._client = new_client(settings, client_id, will=will, version=version)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._driver = LoopAdapter(self._client, self.abandon)

    async def open(self, timeout_s: float) -> None:
        """Connect and return once the broker has agreed.

        Raises ``NotConnected`` when it is unreachable, ``Refused`` for credentials or identity,
        and ``WrongProtocol`` when it hangs up or stays silent, as a broker may that does not
        understand this version.
        """
        try:
            await self._driver.connect(self.address, self._settings.keepalive_s)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotConnected(f"no broker at {self.address} ({reason})") from error
        if not self._driver.attach():
            self._end("closed while connecting")
        ends: set[asyncio.Future[Any]] = {self._connack, self.lost}
        done, _ = await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._connack in done:
            await self._connack
            return
        self.abandon()
        said = "hung up" if self.lost in done else "said nothing"
        hint = ""
        if self._settings.tls is not None and self.lost in done:
            hint = "; it may have refused our certificate, or want one (mqtt.tls.cert_file)"
        raise WrongProtocol(f"{self.address} {said} when asked for MQTT{hint}")

    async def publish(self, topic: str, payload: bytes, terms: Terms) -> Published:
        """Publish at QoS 1 and wait for the broker's acknowledgement."""
        if self.lost.done():
            raise NotConnected(self.lost.result())
        try:
            properties = terms.properties(self._version)
            info = self._client.publish(topic, payload, 1, terms.retain, properties)
        except ValueError as error:
            raise Refused(f"no message can go out on {topic!r}: {error}") from error
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnected(f"could not publish on {topic!r}: {paho.error_string(info.rc)}")
        acknowledged: asyncio.Future[Published] = self._loop.create_future()
        self._published[info.mid] = acknowledged
        try:
            return await acknowledged
        finally:
            self._published.pop(info.mid, None)

    def send_soon(self, topic: str, payload: bytes, size: int) -> bool:
        """Put a packet of ``size`` bytes in line at QoS 0, or say that there is no room for it."""
        if not self._hints.have_room(size):
            return False
        try:
            info = self._client.publish(topic, payload, 0)
        except ValueError as error:
            raise Refused(f"no message can go out on {topic!r}: {error}") from error
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self._hints.add(info, size)
        return True

    async def subscribe(self, topics: str) -> None:
        """Subscribe at QoS 1 and wait for the broker's word.

        A broker that says nothing loses the connection: it would seem to work and bring nothing.
        """
        identifier = self._copies.ask(topics)
        try:
            code, mid = self._client.subscribe(topics, 1, properties=self._identifier(identifier))
        except ValueError as error:
            raise Refused(f"nobody can subscribe to {topics!r}: {error}") from error
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise NotConnected(f"could not subscribe to {topics!r}: {paho.error_string(code)}")
        agreed = self._subscribed[mid] = self._loop.create_future()
        timeout_s = self._settings.connect_timeout_s
        silence = self._loop.call_later(timeout_s, self._give_up_on, topics, timeout_s)
        try:
            await agreed
        except Refused as error:
            self._copies.drop(topics)
            raise Refused(f"the broker refused the subscription to {topics!r}: {error}") from None
        finally:
            silence.cancel()
            self._subscribed.pop(mid, None)
        self._copies.agree(topics)

    @property
    def filters(self) -> set[str]:
        """The filters that the broker brings."""
        return self._copies.agreed

    def unsubscribe(self, topics: str) -> None:
        """Have the broker bring no more of a filter; what is on its way is for nobody."""
        self._copies.drop(topics)
        if not self.lost.done():
            self._client.unsubscribe(topics)

    def acknowledge(self, mid: int) -> None:
        """Send the PUBACK of one message."""
        if not self.lost.done():
            self._client.ack(mid, 1)

    async def close(self) -> None:
        """Wait for what was published to be acknowledged, then send DISCONNECT."""
        if self._published and not self.lost.done():
            await asyncio.wait([*self._published.values()], timeout=self._settings.drain_s)
        if not self.lost.done():
            await self._driver.say_goodbye()
        self.abandon()

    def abandon(self, reason: str = "closed") -> None:
        """Close the socket without a word; without effect when that was done before."""
        self._end(reason)
        self._driver.close()

    def _give_up_on(self, topics: str, timeout_s: float) -> None:
        said = f"{self.address} said nothing for {timeout_s:.3g} s"
        self.abandon(f"{said} when asked for {topics!r}")

    # -- paho's callbacks: they hand over and return -------------------------------------------

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if self._connack.done():
            return
        if not reason.is_failure:
            may = getattr(properties, "SubscriptionIdentifierAvailable", 1)
            self._identifies = self._version >= 5 and bool(may)  # noqa: PLR2004 - MQTT 5 and later
            self.packet_bytes = getattr(properties, "MaximumPacketSize", None)
            most = min(getattr(properties, "ReceiveMaximum", _IN_FLIGHT), _IN_FLIGHT)
            self.in_flight = asyncio.Semaphore(most)
            self._connack.set_result(None)
        elif reason.value in _UNSUPPORTED_VERSION:
            self._connack.set_exception(WrongProtocol(f"the broker refused MQTT: {reason}"))
        else:
            kind = NotConnected if reason.value in _NOT_NOW else Refused
            said = f"the broker at {self.address} refused us: {reason}"
            self._connack.set_exception(kind(said))

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        # The library says "unspecified" of a line that simply broke.
        self._end("connection lost" if reason.value == _FAILURE else f"connection lost: {reason}")

    def _on_message(self, _client: paho.Client, _data: Any, received: paho.MQTTMessage) -> None:
        token = (self, received.mid) if received.qos else None
        told = received.properties
        message = Message(
            received.topic,
            bytes(received.payload),
            received.retain,
            token,
            getattr(told, "ResponseTopic", ""),
            getattr(told, "CorrelationData", b""),
        )
        identifiers = getattr(told, "SubscriptionIdentifier", ())
        self._deliver(message, self._copies.filters(Packet(*message[:3]), identifiers))

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._driver.writing:
            return  # a hint is out, and its number may be that of a message which still waits
        waiting = self._published.get(mid)
        if waiting is None or waiting.done():
            return
        if reason.value in _PUBLISH_NOT_NOW:
            waiting.set_exception(NotNow(f"the broker took no message just now: {reason}"))
        elif reason.value >= _FAILURE:
            waiting.set_exception(Refused(f"the broker refused the message: {reason}"))
        elif reason.value == _NO_MATCHING_SUBSCRIBERS:
            waiting.set_result(Published.NO_SUBSCRIBER)
        else:
            waiting.set_result(Published.TAKEN)

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, mid: int, reasons: Any, _properties: Any
    ) -> None:
        waiting = self._subscribed.get(mid)
        if waiting is None or waiting.done():
            return
        failed = [reason for reason in reasons if reason.is_failure]
        if failed:
            waiting.set_exception(Refused(str(failed[0])))
        else:
            waiting.set_result(None)

    def _end(self, reason: str) -> None:
        """Settle everything that waits on this connection; the first reason stands."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        self._driver.stop()
        everyone: list[asyncio.Future[Any]] = [
            *self._published.values(),
            *self._subscribed.values(),
        ]
        for waiting in everyone:
            if not waiting.done():
                waiting.set_exception(NotConnected(reason))

    def _identifier(self, identifier: int) -> Properties | None:
        if not self._identifies:
            return None
        properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call] # paho leaves it
        properties.SubscriptionIdentifier = identifier
        return properties
