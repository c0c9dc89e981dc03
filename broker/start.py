"""Chooses a broker and says how to start it; the broker then is that process and no other.

Mosquitto runs with ``broker/mosquitto.conf``, less the lines that the settings replace. A listener
that other machines reach is secured by a provisioned folder, or stands open because the settings
say so in as many words. The embedded broker is no security boundary: loopback only.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from broker.secured import broker_folder, find_plugin, listener
from shared.errors import RuntimeUnavailable, SettingsError
from shared.settings.address import is_loopback, read_host

EVERYWHERE = "*"
CONFIGURATION = Path(__file__).with_name("mosquitto.conf")
_REPLACED = ("#", "listener ", "allow_anonymous ", "persistence ", "persistence_location ")
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which broker to run, and where it listens."""

    kind: Annotated[
        Literal["auto", "mosquitto", "embedded"],
        Meta(description="auto: Mosquitto if it is installed, else the embedded broker"),
    ] = "auto"
    host: Annotated[
        str, Meta(description="address to listen on, * for every one; loopback unless secured")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port to listen on")] = 1883
    data_dir: Annotated[
        str, Meta(description="folder for Mosquitto's configuration and retained messages")
    ] = "./runs/broker"
    provisioned: Annotated[
        str, Meta(description="folder made by recserve provision: TLS, and rights for each agent")
    ] = ""
    plain_on_network: Annotated[
        bool, Meta(description="let everybody who reaches host read and write everything")
    ] = False

    def __post_init__(self) -> None:
        """Hold the address to the form of one."""
        if self.host != EVERYWHERE:
            force_setattr(self, "host", read_host(self.host, "broker.host"))


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
            'or the embedded one (in the folder of this project: pip install -e ".[broker]")'
        )
    return "embedded"


def command(settings: BrokerSettings) -> list[str]:
    """Return the command line of the broker, with its configuration written.

    Raises ``SettingsError`` for a listener that others could reach and nothing guards.
    """
    kind = choose(settings.kind)
    _check_exposure(settings, kind)
    if kind == "embedded":
        return [sys.executable, "-m", "broker.embedded", settings.host, str(settings.port)]
    folder = Path(settings.data_dir).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "mosquitto.conf"
        # Started by root, Mosquitto would become a user who cannot write the folder.
        text = configuration(settings, folder) + ("" if os.geteuid() else "user root\n")
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"broker.data_dir {settings.data_dir!r} cannot be written ({error.strerror})"
        ) from error
    return [_mosquitto(), "-c", str(file)]


def configuration(settings: BrokerSettings, folder: Path) -> str:
    """Return Mosquitto's configuration for these settings, with its data in ``folder``."""
    kept = [
        line
        for line in CONFIGURATION.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(_REPLACED)
    ]
    # The listener comes first: what follows it belongs to it.
    head = _secured(settings) if settings.provisioned else _open(settings, folder)
    return "\n".join([*head, *kept]) + "\n"


def _check_exposure(settings: BrokerSettings, kind: Literal["mosquitto", "embedded"]) -> None:
    """Refuse what would let strangers in without a word about it."""
    if settings.provisioned:
        if kind == "embedded":
            raise SettingsError(
                "broker.provisioned needs Mosquitto: the embedded broker knows no TLS and no rights"
            )
    elif not is_loopback(settings.host):
        where = f"broker.host {settings.host!r} is not a loopback address"
        if kind == "embedded":
            raise SettingsError(f"{where}, and the embedded broker is no security boundary")
        if not settings.plain_on_network:
            raise SettingsError(
                f"{where} and this broker asks nobody for a password; secure it with `recserve "
                "provision`, or set broker.plain_on_network: true if everybody there may read and "
                "write everything"
            )


def _secured(settings: BrokerSettings) -> list[str]:
    folder = broker_folder(settings.provisioned)
    return listener(folder, host=settings.host, port=settings.port, plugin=find_plugin())


def _open(settings: BrokerSettings, folder: Path) -> list[str]:
    return [
        f"listener {settings.port} {settings.host}".removesuffix(" *"),
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
    ]


def _mosquitto() -> str:
    """Return the path of the binary; Debian puts it where only root looks."""
    found = shutil.which("mosquitto")
    for folder in _SYSTEM_FOLDERS:
        found = found or shutil.which("mosquitto", path=folder)
    return found or ""
