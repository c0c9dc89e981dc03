"""One MQTT connection, from CONNECT to its end, driven by the event loop; used once.

The only file that imports the MQTT library. A connection is never reopened: a fresh client for
each one means that nothing waits in a library's queue to be sent behind our backs. Messages are
acknowledged by hand, callbacks only hand over, and Nagle's algorithm is off on every socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from shared.bus import Delivery, Message, Will
from shared.errors import BusError, NotConnected, Refused
from shared.mqtt_credentials import read_password, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from shared.settings import MqttSettings

_NO_MATCHING_SUBSCRIBERS = 0x10
_FAILURE = 0x80
_UNSUPPORTED_VERSION = (0x01, 0x84)
_NOT_NOW = (0x88, 0x89, 0x97, 0x9F)  # unavailable, busy, over quota, too many connections a second
_HOUSEKEEPING_S = 1.0
_GOODBYE_S = 1.0
_FOUR_BYTES = 0xFFFF_FFFF
_PROTOCOLS = {5: MQTTProtocolVersion.MQTTv5, 4: MQTTProtocolVersion.MQTTv311}


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
        deliver: Callable[[Message], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._version = version
        self._deliver = deliver
        self._connack: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._published: dict[int, asyncio.Future[Delivery]] = {}
        self._subscribed: dict[int, asyncio.Future[None]] = {}
        self._housekeeping: asyncio.TimerHandle | None = None
        self._client = self._new_client(client_id, will)

    async def open(self, timeout_s: float) -> None:
        """Connect and return once the broker has agreed.

        Raises ``NotConnected`` when it is unreachable, ``Refused`` for credentials or identity,
        and ``WrongProtocol`` when it hangs up or stays silent, as a broker may that does not
        understand this version.
        """
        settings = self._settings
        opening = self._loop.run_in_executor(
            None, self._client.connect, settings.host, settings.port, settings.keepalive_s
        )
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda _: self._client.disconnect())
            raise
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotConnected(
                f"no broker at {settings.host}:{settings.port} ({reason})"
            ) from error
        self._attach()
        ends: set[asyncio.Future[Any]] = {self._connack, self.lost}
        done, _ = await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._connack in done:
            await self._connack
            return
        self.abandon()
        said = "hung up" if self.lost in done else "said nothing"
        hint = ""
        if settings.tls is not None and self.lost in done:
            hint = "; it may have refused our certificate, or want one (mqtt.tls.cert_file)"
        raise WrongProtocol(f"{settings.host}:{settings.port} {said} when asked for MQTT{hint}")

    async def publish(
        self, topic: str, payload: bytes, *, retain: bool, expiry_s: float | None
    ) -> Delivery:
        """Publish at QoS 1 and wait for the broker's acknowledgement."""
        if self.lost.done():
            raise NotConnected(self.lost.result())
        try:
            info = self._client.publish(topic, payload, 1, retain, self._expiry(expiry_s))
        except ValueError as error:
            raise Refused(f"no message can go out on {topic!r}: {error}") from error
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnected(f"could not publish on {topic!r}: {paho.error_string(info.rc)}")
        acknowledged: asyncio.Future[Delivery] = self._loop.create_future()
        self._published[info.mid] = acknowledged
        try:
            return await acknowledged
        finally:
            self._published.pop(info.mid, None)

    async def subscribe(self, topics: str) -> None:
        """Subscribe at QoS 1 and wait for the broker's word."""
        try:
            code, mid = self._client.subscribe(topics, 1)
        except ValueError as error:
            raise Refused(f"nobody can subscribe to {topics!r}: {error}") from error
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise NotConnected(f"could not subscribe to {topics!r}: {paho.error_string(code)}")
        agreed = self._subscribed[mid] = self._loop.create_future()
        try:
            await agreed
        except Refused as error:
            raise Refused(f"the broker refused the subscription to {topics!r}: {error}") from None
        finally:
            self._subscribed.pop(mid, None)

    def acknowledge(self, mid: int) -> None:
        """Send the PUBACK of one message."""
        if not self.lost.done():
            self._client.ack(mid, 1)

    async def close(self) -> None:
        """Wait for what was published to be acknowledged, then send DISCONNECT."""
        if self._published and not self.lost.done():
            await asyncio.wait([*self._published.values()], timeout=self._settings.drain_s)
        sock = self._client.socket()
        if sock is not None and not self.lost.done():
            await self._say_goodbye(sock.fileno())
        self.abandon()

    def abandon(self, reason: str = "closed") -> None:
        """Close the socket without a word; without effect when that was done before."""
        self._end(reason)
        sock = self._client.socket()
        self._client.on_socket_close = None
        if sock is not None and sock.fileno() >= 0:
            self._detach(sock)
            sock.close()

    def _new_client(self, client_id: str, will: Will | None) -> paho.Client:
        settings, version = self._settings, _PROTOCOLS[self._version]
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if version is MQTTProtocolVersion.MQTTv5 else True,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = settings.connect_timeout_s
        client.max_inflight_messages_set(0)
        if settings.username:
            client.username_pw_set(settings.username, read_password(settings))
        if settings.tls is not None:
            client.tls_set_context(tls_context(settings.tls))
        if will is not None:
            client.will_set(will.topic, will.payload, 1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_open = _no_delay
        return client

    async def _say_goodbye(self, descriptor: int) -> None:
        """Send DISCONNECT and let the broker hang up first: some forget it when we do.

        The client library closes its socket at once, so a second handle keeps the line open.
        """
        with socket.socket(fileno=os.dup(descriptor)) as line:
            line.setblocking(False)
            self._client.disconnect()
            self._client.loop_write()
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._until_hung_up(line), _GOODBYE_S)

    async def _until_hung_up(self, line: socket.socket) -> None:
        while await self._loop.sock_recv(line, 4096):
            pass

    # -- the event loop's side of the socket ---------------------------------------------------

    def _attach(self) -> None:
        """Take over the socket that the connecting thread opened."""
        sock = self._client.socket()
        if sock is None:
            self._end("closed while connecting")
            return
        self._client.on_socket_close = self._on_socket_close
        self._client.on_socket_register_write = self._on_want_write
        self._loop.add_reader(cast("socket.socket", sock), self._read)
        self._loop.call_soon(self._write)
        self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)

    def _detach(self, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _read(self) -> None:
        self._drive(self._client.loop_read)
        sock = self._client.socket()
        while isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._drive(self._client.loop_read)
            sock = self._client.socket()

    def _write(self) -> None:
        self._drive(self._client.loop_write)
        sock = self._client.socket()
        if sock is None:
            return
        if self._client.want_write():
            self._loop.add_writer(cast("socket.socket", sock), self._write)
        else:
            self._loop.remove_writer(cast("socket.socket", sock))

    def _keep_house(self) -> None:
        if not self.lost.done():
            self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)
            self._drive(self._client.loop_misc)

    def _drive(self, step: Callable[[], object]) -> None:
        """Let the library take one step; whatever it raises there ends this connection."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - it would be deaf and seem connected
            self._end(f"connection given up: {type(error).__name__}: {error}")
            self.abandon()

    # -- paho's callbacks: they hand over and return -------------------------------------------

    def _on_socket_close(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        self._detach(sock)

    def _on_want_write(self, _client: paho.Client, _data: Any, _sock: Any) -> None:
        self._loop.call_soon(self._write)

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._connack.done():
            return
        if not reason.is_failure:
            self._connack.set_result(None)
        elif reason.value in _UNSUPPORTED_VERSION:
            self._connack.set_exception(WrongProtocol(f"the broker refused MQTT: {reason}"))
        else:
            kind = NotConnected if reason.value in _NOT_NOW else Refused
            who = f"{self._settings.host}:{self._settings.port}"
            self._connack.set_exception(kind(f"the broker at {who} refused us: {reason}"))

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        # The library says "unspecified" of a line that simply broke.
        self._end("connection lost" if reason.value == _FAILURE else f"connection lost: {reason}")

    def _on_message(self, _client: paho.Client, _data: Any, received: paho.MQTTMessage) -> None:
        token = (self, received.mid) if received.qos else None
        message = Message(received.topic, bytes(received.payload), received.retain, token)
        self._deliver(message)

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        waiting = self._published.get(mid)
        if waiting is None or waiting.done():
            return
        if reason.value >= _FAILURE:
            waiting.set_exception(Refused(f"the broker refused the message: {reason}"))
        elif reason.value == _NO_MATCHING_SUBSCRIBERS:
            waiting.set_result(Delivery.NO_SUBSCRIBER)
        else:
            waiting.set_result(Delivery.TAKEN)

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
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        everyone: list[asyncio.Future[Any]] = [
            *self._published.values(),
            *self._subscribed.values(),
        ]
        for waiting in everyone:
            if not waiting.done():
                waiting.set_exception(NotConnected(reason))

    def _expiry(self, expiry_s: float | None) -> Properties | None:
        if expiry_s is None or self._version < 5:  # noqa: PLR2004 - MQTT 5 and later
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho leaves it
        properties.MessageExpiryInterval = math.ceil(min(max(1, expiry_s), _FOUR_BYTES))
        return properties


def _no_delay(_client: paho.Client, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
