"""Who may read the page, and who may write. Pure but for reading the token.

Writing takes the token in the ``Authorization`` header, which no other page can make a browser
send, and an ``Origin`` that is ours where there is one. Reading needs nothing on loopback, as long
as the page is asked for by a loopback name; elsewhere it takes the token, or the cookie that stands
for it and can only read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared.errors import SettingsError
from shared.settings.address import is_loopback
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud_agent.center.settings import CenterPart

COOKIE: Final = "recserve_center"
_TOKEN_BYTES: Final = 32


class PageGuard:
    """Decides about one request by its headers."""

    def __init__(self, token: str, host: str) -> None:
        self._token = token
        self._open = is_loopback(host)

    @property
    def cookie(self) -> str:
        """What a browser keeps in place of the token; it cannot be turned back into it."""
        return hmac.new(self._token.encode(), b"may read", hashlib.sha256).hexdigest()

    def knows(self, token: str) -> bool:
        """Say whether a token is ours."""
        return hmac.compare_digest(token.encode(), self._token.encode())

    def may_read(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Say whether whoever asks may see the fleet."""
        if self._open and is_loopback(_name_of(headers.get("host", ""))):
            return True
        if self._bears_token(headers):
            return True
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.cookie.encode())

    def why_not_write(self, headers: Mapping[str, str]) -> str:
        """Return why whoever asks may change nothing; empty if they may."""
        if not is_own_origin(headers):
            return "this comes from another page"
        if not self._bears_token(headers):
            return "the token is missing or wrong"
        return ""

    def _bears_token(self, headers: Mapping[str, str]) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.knows(token.strip())


def is_own_origin(headers: Mapping[str, str]) -> bool:
    """Say whether a browser sends this from our own page; programs name no origin."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host", "")


def token_place(settings: CenterPart) -> Path:
    """Return where a centre's token is."""
    return Path(settings.web.token_file or f"{settings.state}/token")


def read_token(path: Path) -> str:
    """Return the token of a file, which is made if it is missing. Raises ``SettingsError``."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, secrets.token_urlsafe(_TOKEN_BYTES).encode(), mode=0o600)
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the token cannot be read or made ({error})") from error
    if not token:
        raise SettingsError(f"{path}: is empty; remove it to have a token made")
    return token


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
