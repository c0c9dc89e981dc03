"""Speaks to a centre's page, for the commands that ship bundles: one call, one answer or error."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from shared.errors import RecServeError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_TIMEOUT_S = 60.0
_BLOCK_BYTES = 1 << 20


class CenterRefused(RecServeError):
    """The centre did not do what it was asked, or cannot be reached; says why."""


class CenterClient:
    """A centre that is reached by URL, with its token where one is needed."""

    def __init__(self, url: str, token: str = "") -> None:
        self._address = urlsplit(url)
        if self._address.scheme not in ("http", "https") or not self._address.hostname:
            raise SettingsError(f"--center {url!r} is not of the form http://host:port")
        self._url = url
        self._token = token

    def get(self, path: str) -> Any:
        """Return what the centre says at a path. Raises ``CenterRefused``."""
        return self._call("GET", path, None)

    def post(self, path: str, value: Any) -> Any:
        """Tell the centre something and return its answer. Raises ``CenterRefused``."""
        return self._call("POST", path, msgspec.json.encode(value))

    def put_file(self, path: str, file: Path) -> Any:
        """Upload a file. Raises ``CenterRefused``."""
        with file.open("rb") as opened:
            return self._call("PUT", path, opened, size=file.stat().st_size)

    def _call(self, method: str, path: str, body: Any, *, size: int | None = None) -> Any:
        headers = {} if size is None else {"Content-Length": str(size)}
        status, raw = self._ask(method, path, body, headers)
        try:
            value = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            raise CenterRefused(f"{self._url}: answers {status}, and is no centre") from None
        if status >= http.client.BAD_REQUEST:
            raise CenterRefused(f"{self._url}: {value.get('error', status)}")
        return value

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
        kind = (
            http.client.HTTPSConnection
            if self._address.scheme == "https"
            else http.client.HTTPConnection
        )
        connection = kind(
            self._address.hostname or "", self._address.port, timeout=_TIMEOUT_S,
            blocksize=_BLOCK_BYTES,
        )  # fmt: skip
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, f"{self._address.path.rstrip('/')}{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise CenterRefused(f"no centre at {self._url} ({error})") from error
        finally:
            connection.close()


def center_options(command: _Command) -> _Command:
    """Give a command the ``center`` that it speaks to."""
    for option in (
        click.option(
            "--token-file",
            type=click.Path(dir_okay=False),
            default="runs/center/token",
            show_default=True,
            help="File with the centre's token.",
        ),
        click.option(
            "--center",
            default="http://127.0.0.1:8080",
            show_default=True,
            metavar="URL",
            help="The centre's page.",
        ),
    ):
        command = option(command)
    return command


def connect(center: str, token_file: str) -> CenterClient:
    """Return a client with the token of a file, without one where there is no such file."""
    path = Path(token_file)
    try:
        token = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the token cannot be read ({error})") from error
    return CenterClient(center, token)
