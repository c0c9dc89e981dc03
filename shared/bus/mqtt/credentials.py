"""The password and certificates that an MQTT connection shows, read from their files.

They are read anew for each connection, so that a renewed certificate needs no restart. What would
travel in the clear is looked at here, too: a password never does unless the settings say so.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SettingsError
from shared.settings.address import is_loopback
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from shared.bus.mqtt.settings import MqttSettings, TlsSettings

_log = get_logger()


def check_credentials(settings: MqttSettings) -> None:
    """Read everything once. Raises ``SettingsError`` for what cannot, or must not, be used.

    Prompts that leave the machine in the clear are worth one warning; a password is refused.
    """
    password = read_password(settings)
    if settings.tls is not None:
        tls_context(settings.tls)
        return
    hosts = {broker.host: None for broker in settings.brokers}
    open_hosts = [host for host in hosts if not is_loopback(host)]
    if settings.plain_on_network or not open_hosts:
        return
    advice = "set mqtt.tls, or mqtt.plain_on_network: true if that network may read it"
    if settings.username and password is not None:
        raise SettingsError(
            f"the password would go to the broker on {open_hosts[0]!r} in the clear; {advice}"
        )
    _log.warning("prompts leave this machine in the clear", hosts=open_hosts, advice=advice)


def read_password(settings: MqttSettings) -> str | None:
    """Return the password, or None if there is none. Raises ``SettingsError``."""
    return _secret(settings.password_file, "mqtt.password_file", "RECSERVE_MQTT_PASSWORD")


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the context that verifies the broker and shows our certificate, if we have one.

    Raises ``SettingsError`` that names the file at fault.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
    except OSError as error:
        raise SettingsError(f"mqtt.tls.ca_file {tls.ca_file!r} cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file:
        _load_certificate(context, tls)
    return context


def _load_certificate(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Take our certificate and its key; nobody is asked to type a passphrase."""
    encrypted = False

    def passphrase() -> str:
        nonlocal encrypted
        encrypted = True
        return _passphrase(tls) or ""

    try:
        context.load_cert_chain(tls.cert_file, tls.key_file or None, passphrase)
    except OSError as error:
        key = tls.key_file or tls.cert_file
        if encrypted and _passphrase(tls) is None:
            raise SettingsError(
                f"the key in {key!r} is encrypted; name a file with its passphrase as "
                f"mqtt.tls.passphrase_file, or decrypt it: openssl pkey -in {key} -out NEW"
            ) from error
        if encrypted:
            raise SettingsError(f"the key in {key!r} has another passphrase ({error})") from error
        files = " with ".join(repr(file) for file in (tls.cert_file, tls.key_file) if file)
        raise SettingsError(f"mqtt.tls.cert_file {files} cannot be used: {error}") from error


def _passphrase(tls: TlsSettings) -> str | None:
    """Return the passphrase of our key, or None if there is none. Raises ``SettingsError``."""
    return _secret(tls.passphrase_file, "mqtt.tls.passphrase_file", "RECSERVE_MQTT_KEY_PASSPHRASE")


def _secret(file: str, key: str, variable: str) -> str | None:
    """Return the one line of a file, or a variable of the environment where none is named."""
    if not file:
        return os.environ.get(variable)
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{key} {file!r} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{key} {file!r} is not UTF-8 ({error.reason})") from error
