"""What a member takes to its machine: a credential, whom to trust, and its ``mqtt`` settings."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

from broker.access import TIERS
from broker.site import Verifier

if TYPE_CHECKING:
    from broker.access import Member
    from broker.site import Site

AUTHORITY: Final = "ca.crt"
CERTIFICATE: Final = "client.crt"
KEY: Final = "client.key"
PASSWORD: Final = "password"  # noqa: S105 - a file name
SETTINGS: Final = "mqtt.yaml"
_SALT_BYTES: Final = 12  # the only length that Mosquitto reads
_ITERATIONS: Final = 101  # more would only slow the broker: the passwords are 256 random bits


class Secret(NamedTuple):
    """A password, and what the broker gets of it."""

    password: str
    verifier: Verifier


def new_secret() -> Secret:
    """Draw a password that nobody can guess."""
    password = secrets.token_urlsafe(32)
    salt = secrets.token_bytes(_SALT_BYTES)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return Secret(password, Verifier(_base64(hashed), _base64(salt), _ITERATIONS))


def settings(site: Site, member: Member) -> bytes:
    """Return the settings of a member's connection; paths are relative to the file they are in."""
    tls = {"ca_file": f"./{AUTHORITY}"}
    mqtt: dict[str, Any] = {"host": site.hosts[0], "port": site.port, "root": site.root}
    mqtt["username"] = member.name
    if site.auth == "certificate":
        tls |= {"cert_file": f"./{CERTIFICATE}", "key_file": f"./{KEY}"}
    else:
        mqtt["password_file"] = f"./{PASSWORD}"
    tree: dict[str, Any] = {"mqtt": mqtt | {"tls": tls}}
    head = f"# How {member.name} connects: for `recserve ask --config`, and other programs.\n"
    if member.role in TIERS:
        head = f"# Besides the agent's own settings: recserve {member.role} -c FILE -c {SETTINGS}\n"
        tree = {"agent": member.name, **tree}
    if member.role == "center":
        head = f"# Besides the centre's own settings: recserve center -c FILE -c {SETTINGS}\n"
        tree = {"name": member.name, **tree}
    return (head + yaml.safe_dump(tree, sort_keys=False)).encode()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
