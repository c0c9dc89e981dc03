"""A provisioned folder as Mosquitto's configuration: TLS, everybody known, everything else denied.

Reads what ``broker.provision`` wrote and needs none of its libraries, so that it works on the
broker's machine, where only the folder ``broker/`` of the site should be.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from shared.errors import RuntimeUnavailable, SettingsError
from shared.settings.file import load

AUTHORITY: Final = "ca.crt"
CERTIFICATE: Final = "broker.crt"
KEY: Final = "broker.key"
REVOKED: Final = "revoked.crl"
ACCESS: Final = "access.json"
LISTENER: Final = "listener.yaml"
PORT: Final = 8883
"""Where a provisioned broker listens unless its site says another."""
_PLUGIN: Final = "mosquitto_dynamic_security.so"
_LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")


class ListenerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the broker's machine has to know of its site besides."""

    port: Annotated[int, Meta(ge=1, le=65535)]


def broker_folder(provisioned: str) -> Path:
    """Return the broker's part of a site, whether named itself or by its site.

    Raises ``SettingsError`` that names the first file that is missing.
    """
    site = Path(provisioned).absolute()
    folder = site / "broker" if (site / "broker").is_dir() else site
    for name in (AUTHORITY, CERTIFICATE, KEY, ACCESS):
        if not (folder / name).is_file():
            raise SettingsError(
                f"broker.provisioned {provisioned!r} holds no {name}; make it with "
                "`recserve provision`"
            )
    return folder


def listening_port(folder: Path) -> int:
    """Return the port that the members of a site were told; 8883 where nothing says another."""
    file = folder / LISTENER
    return load(ListenerSettings, file).port if file.exists() else PORT


def listener(folder: Path, *, host: str, port: int, plugin: str) -> list[str]:
    """Return the lines of the one listener, and who may do what on it.

    The client id is always the user name, so nobody can take over another's session. Persistence is
    off: members announce themselves again after a restart, and what somebody else had retained is
    gone.
    """
    lines = [
        f"listener {port} {host}".removesuffix(" *"),
        f"cafile {folder / AUTHORITY}",
        f"certfile {folder / CERTIFICATE}",
        f"keyfile {folder / KEY}",
        "tls_version tlsv1.2",
    ]
    if (folder / REVOKED).exists():
        lines += [
            "require_certificate true",
            "use_identity_as_username true",
            f"crlfile {folder / REVOKED}",
        ]
    return [
        *lines,
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"plugin {plugin}",
        f"plugin_opt_config_file {folder / ACCESS}",
        "persistence false",
    ]


def find_plugin() -> str:
    """Return the path of Mosquitto's dynamic-security plugin for this machine.

    Raises ``RuntimeUnavailable`` where it is not installed.
    """
    machine = sysconfig.get_config_var("MULTIARCH") or ""
    for library in map(Path, _LIBRARIES):
        for file in (library / machine / _PLUGIN, library / _PLUGIN, *library.glob(f"*/{_PLUGIN}")):
            if file.is_file():
                return str(file)
    raise RuntimeUnavailable(
        f"Mosquitto's {_PLUGIN} is not installed; it comes with Mosquitto 2 "
        "(Debian: apt install mosquitto)"
    )
