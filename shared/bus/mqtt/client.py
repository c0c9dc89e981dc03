"""The MQTT library's client: made from our settings, and driven by the event loop.

``new_client`` sets it up to do nothing by itself: no thread, no reconnect, no acknowledgement.
``LoopAdapter`` reads and writes its socket when the event loop says so. What the broker's words
mean is the business of ``shared.bus.mqtt.connection``; these two files alone import the library.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from shared.bus.mqtt.credentials import read_password, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.bus import Will
    from shared.bus.mqtt.settings import MqttSettings
    from shared.settings.address import Address

_HOUSEKEEPING_S = 1.0
_GOODBYE_S = 1.0
_PROTOCOLS = {5: MQTTProtocolVersion.MQTTv5, 4: MQTTProtocolVersion.MQTTv311}


def new_client(
    settings: MqttSettings, client_id: str, *, will: Will | None, version: int
) -> paho.Client:
    """Return a client for one connection; Nagle's algorithm is off on its socket.

    Credentials are read from their files now. Raises ``SettingsError`` when they cannot be.
    """
    protocol = _PROTOCOLS[version]
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if protocol is MQTTProtocolVersion.MQTTv5 else True,
        protocol=protocol,
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
    client.on_socket_open = _no_delay
    return client


class LoopAdapter:
    """The event loop's side of a client's socket, from the connect to the close."""

    def __init__(self, client: paho.Client, broken: Callable[[str], None]) -> None:
        """``broken`` is told the reason when the library raises: it would be deaf from then on."""
        self._client = client
        self._broken = broken
        self.writing = False
        """Whether the library says something of its own accord, and not what the broker said."""
        self._loop = asyncio.get_running_loop()
        self._housekeeping: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._opened = False
        self._given_up = False

    async def connect(self, address: Address, keepalive_s: int) -> None:
        """Open the socket and send CONNECT, in a thread, since looking up a name may block.

        The host's name is also what the broker's certificate has to be for. Who is cancelled leaves
        nothing open: what the thread connects after that it disconnects itself.
        """
        opening = self._loop.run_in_executor(None, self._connect, address, keepalive_s)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_pass_over)
            with self._lock:
                self._given_up = True
                if self._opened:
                    self._client.disconnect()
            raise

    def attach(self) -> bool:
        """Take over the socket that the connecting thread opened; False if it is gone already."""
        sock = self._client.socket()
        if sock is None:
            return False
        self._client.on_socket_close = self._on_socket_close
        self._client.on_socket_register_write = self._on_want_write
        self._loop.add_reader(cast("socket.socket", sock), self._read)
        self._loop.call_soon(self._write)
        self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)
        return True

    def stop(self) -> None:
        """End the housekeeping: the connection is over, whoever ended it."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()

    def close(self) -> None:
        """Close the socket without a word; without effect when that was done before."""
        self.stop()
        sock = self._client.socket()
        self._client.on_socket_close = None
        if sock is not None and sock.fileno() >= 0:
            self._detach(sock)
            sock.close()

    async def say_goodbye(self) -> None:
        """Send DISCONNECT and let the broker hang up first: some forget it when we do.

        The client library closes its socket at once, so a second handle keeps the line open.
        """
        sock = self._client.socket()
        if sock is None:
            return
        with socket.socket(fileno=os.dup(sock.fileno())) as line:
            line.setblocking(False)
            self._client.disconnect()
            self._write_out()
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._until_hung_up(line), _GOODBYE_S)

    def _connect(self, address: Address, keepalive_s: int) -> None:
        self._client.connect(*address, keepalive_s)
        with self._lock:
            self._opened = True
            if self._given_up:
                self._client.disconnect()

    async def _until_hung_up(self, line: socket.socket) -> None:
        while await self._loop.sock_recv(line, 4096):
            pass

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
        self._write_out()
        sock = self._client.socket()
        if sock is None:
            return
        if self._client.want_write():
            self._loop.add_writer(cast("socket.socket", sock), self._write)
        else:
            self._loop.remove_writer(cast("socket.socket", sock))

    def _write_out(self) -> None:
        self.writing = True
        self._drive(self._client.loop_write)
        self.writing = False

    def _keep_house(self) -> None:
        self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)
        self._drive(self._client.loop_misc)

    def _drive(self, step: Callable[[], object]) -> None:
        """Let the library take one step; whatever it raises there ends this connection."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - it would be deaf and seem connected
            self._broken(f"connection given up: {type(error).__name__}: {error}")

    def _on_socket_close(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        self._detach(sock)

    def _on_want_write(self, _client: paho.Client, _data: Any, _sock: Any) -> None:
        self._loop.call_soon(self._write)


def _pass_over(opening: asyncio.Future[None]) -> None:
    """Take the outcome that nobody waits for any more: else the loop reports it as forgotten."""
    if not opening.cancelled():
        opening.exception()


def _no_delay(_client: paho.Client, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
