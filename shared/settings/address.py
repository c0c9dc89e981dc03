"""Hosts and ports as settings write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

from shared.errors import SettingsError

_PORTS: Final = range(1, 1 << 16)
_PORT: Final = re.compile(r"[0-9]{1,5}")


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as settings write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_address(text: str) -> Address:
    """Read ``host:port``, or ``[host]:port`` for IPv6. Raises ``SettingsError``."""
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or (":" in host and not bracketed) or not _PORT.fullmatch(port):
        raise SettingsError(f"the broker {text!r} is not of the form host:port")
    if int(port) not in _PORTS:
        raise SettingsError(f"the broker {text!r} is not of the form host:port")
    return Address(read_host(host, "the broker"), int(port))


def read_host(text: str, what: str) -> str:
    """Return a host's name or address, an IPv6 one without brackets.

    Raises ``SettingsError`` for a port, a scheme or anything else beside it; ``what`` is the key.
    """
    host = text.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or re.search(r"[\s/\[\]@]", host) or (":" in host and not _is_ipv6(host)):
        raise SettingsError(
            f"{what} {text!r} is no host: it must be a name or an address and nothing besides; "
            "a port has a key of its own"
        )
    return host


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - the protocol's number
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Say whether nothing sent to this host leaves the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
