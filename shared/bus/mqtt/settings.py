"""How a broker is reached: address, TLS, versions and patience."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import force_setattr

from shared.errors import SettingsError
from shared.settings.address import Address, read_address, read_host
from shared.settings.base import YEAR_S, Closed, Seconds


class TlsSettings(Closed, frozen=True, kw_only=True):
    """Verification of the broker, and of us."""

    ca_file: Annotated[str, Meta(description="authority that signed the broker; empty: system")] = (
        ""
    )
    cert_file: Annotated[str, Meta(description="our client certificate, if any")] = ""
    key_file: Annotated[str, Meta(description="its key, if in a file of its own")] = ""
    passphrase_file: Annotated[
        str,
        Meta(
            description="file with the passphrase of an encrypted key; "
            "else RECSERVE_MQTT_KEY_PASSPHRASE"
        ),
    ] = ""


class MqttSettings(Closed, frozen=True, kw_only=True):
    """How to reach the broker."""

    host: Annotated[str, Meta(min_length=1, description="name or address of the broker")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="its TCP port")] = 1883
    fallbacks: Annotated[
        tuple[str, ...],
        Meta(description="further brokers, host:port, in the order to try; the same for everybody"),
    ] = ()
    return_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=YEAR_S,
            description="on a fallback: time between looks for a preferred broker",
        ),
    ] = 30.0
    root: Annotated[str, Meta(description="first level or levels of every topic")] = "recserve"
    protocol: Annotated[
        Literal["auto", "5", "3.1.1"],
        Meta(description="MQTT version; auto asks for 5 and falls back"),
    ] = "auto"
    packet_bytes: Annotated[
        int,
        Meta(
            ge=256,
            le=1 << 28,
            description="largest packet that a broker takes which does not say so (MQTT 5 does)",
        ),
    ] = 1 << 20
    username: Annotated[str, Meta(description="user name; equal to the agent's name")] = ""
    password_file: Annotated[
        str, Meta(description="file with the password; else RECSERVE_MQTT_PASSWORD")
    ] = ""
    tls: Annotated[TlsSettings | None, Meta(description="TLS, if the broker speaks it")] = None
    plain_on_network: Annotated[
        bool, Meta(description="send in the clear to other machines, a password too")
    ] = False
    keepalive_s: Annotated[
        int, Meta(ge=1, le=65535, description="seconds; a dead link is noticed within two of them")
    ] = 15
    connect_timeout_s: Annotated[Seconds, Meta(description="limit on each step of connecting")] = (
        5.0
    )
    reconnect_min_s: Annotated[Seconds, Meta(description="first wait before a reconnect")] = 0.5
    reconnect_max_s: Annotated[Seconds, Meta(description="longest wait before a reconnect")] = 10.0
    drain_s: Annotated[Seconds, Meta(description="wait for acknowledgements when closing")] = 5.0

    @property
    def brokers(self) -> list[Address]:
        """All brokers, the preferred one first."""
        return [Address(self.host, self.port), *map(read_address, self.fallbacks)]

    def __post_init__(self) -> None:
        """Hold every broker to the form of an address, and to one place in the list."""
        force_setattr(self, "host", read_host(self.host, "mqtt.host"))
        if len(set(self.brokers)) <= len(self.fallbacks):
            raise SettingsError("mqtt.fallbacks names a broker twice")
