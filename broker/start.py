"""Chooses a broker and says how to start it; the broker then is that process and no other.

Mosquitto runs with ``broker/mosquitto.conf``, less the lines that the settings replace. The
embedded broker is no security boundary and is refused on any address but loopback.
"""

from __future__ import annotations

import getpass
import importlib.util
import ipaddress
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.errors import RuntimeUnavailable, SettingsError

CONFIGURATION = Path(__file__).with_name("mosquitto.conf")
_REPLACED = ("listener ", "persistence_location ")
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which broker to run, and where it listens."""

    kind: Annotated[
        Literal["auto", "mosquitto", "embedded"],
        Meta(description="auto: Mosquitto if it is installed, else the embedded broker"),
    ] = "auto"
    host: Annotated[str, Meta(description="address to listen on; loopback unless secured")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port to listen on")] = 1883
    data_dir: Annotated[
        str, Meta(description="folder for Mosquitto's configuration and retained messages")
    ] = "./runs/broker"


def choose(kind: Literal["auto", "mosquitto", "embedded"]) -> Literal["mosquitto", "embedded"]:
    """Return the broker to run. Raises ``RuntimeUnavailable`` when it is not installed."""
    mosquitto = _mosquitto()
    if mosquitto and kind != "embedded":
        return "mosquitto"
    if kind == "mosquitto":
        raise RuntimeUnavailable(
            "Mosquitto is not installed; install it (Debian: apt install mosquitto) "
            "or set broker.kind to embedded"
        )
    if importlib.util.find_spec("amqtt") is None:
        raise RuntimeUnavailable(
            "there is no broker here: install Mosquitto (Debian: apt install mosquitto) "
            'or the embedded one (pip install "recserve[broker]")'
        )
    return "embedded"


def command(settings: BrokerSettings) -> list[str]:
    """Return the command line of the broker, with its configuration written.

    Raises ``SettingsError`` for a listener that others could reach and nothing guards.
    """
    kind = choose(settings.kind)
    if not _is_loopback(settings.host):
        raise SettingsError(
            f"broker.host {settings.host!r} is not a loopback address and this broker asks nobody "
            "for a password; deploy broker/mosquitto.conf with credentials instead"
        )
    if kind == "embedded":
        return [sys.executable, "-m", "broker.embedded", settings.host, str(settings.port)]
    folder = Path(settings.data_dir).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "mosquitto.conf"
        file.write_text(configuration(settings, folder), encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"broker.data_dir {settings.data_dir!r} cannot be written ({error.strerror})"
        ) from error
    return [_mosquitto(), "-c", str(file)]


def configuration(settings: BrokerSettings, folder: Path) -> str:
    """Return Mosquitto's configuration for these settings."""
    kept = [
        line
        for line in CONFIGURATION.read_text(encoding="utf-8").splitlines()
        if not line.startswith(_REPLACED)
    ]
    # The listener comes first: what follows it belongs to it. Started by root, Mosquitto would
    # become a user who cannot write the folder.
    head = [f"listener {settings.port} {settings.host}"]
    tail = [f"persistence_location {folder}/", f"user {getpass.getuser()}"]
    return "\n".join([*head, *kept, *tail]) + "\n"


def _mosquitto() -> str:
    """Return the path of the binary; Debian puts it where only root looks."""
    found = shutil.which("mosquitto")
    for folder in _SYSTEM_FOLDERS:
        found = found or shutil.which("mosquitto", path=folder)
    return found or ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
