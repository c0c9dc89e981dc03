"""One request to a server with an OpenAI-compatible API, and what can become of it.

Leaves out trying again, which is whoever asks: a ``ServerFault`` says whether that is safe.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import httpx2
import msgspec

from shared.runtimes.chat_wire import ChatCompletion, ModelList, reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

CONNECT_S: Final = 5.0
_ANSWER_BYTES: Final = 16 << 20
"""A longer answer is none: what is read of it is let go."""
_SHOWN: Final = 80
_REASON: Final = 200
_TOO_MANY: Final = 429
_NOT_NOW: Final = 503
_OWN_FAULT: Final = (400, 413, 422)
_TOO_SLOW: Final = 408
_SUCCESS: Final = range(200, 300)
_SERVER_ERRORS: Final = 500

Kind: TypeAlias = Literal["away", "later", "refused", "request", "broken", "nonsense"]
"""What went wrong.

``away`` and ``later``: nothing has begun, so it may be tried again. ``refused``: the key, the
model, the URL or the account is wrong. ``request``: the server does not take what is in it.
``broken``: the server failed, or its answer broke off. ``nonsense``: its answer is none.
"""

_Read = TypeVar("_Read", ChatCompletion, ModelList)


class ServerFault(Exception):
    """A server gave no answer.

    ``status`` is that of HTTP, 0 where there is none; ``again_s`` is when the server wants to be
    asked again, if it says so.
    """

    def __init__(
        self, kind: Kind, what: str, *, status: int = 0, again_s: float | None = None
    ) -> None:
        super().__init__(what)
        self.kind = kind
        self.status = status
        self.again_s = again_s


class ChatClient:
    """The connections to one server; they belong to one event loop.

    There are as many as requests were under way at once. Each is a client of its own: the pool of
    one looks through all its connections at every request, which hundreds of them feel.
    """

    def __init__(
        self, url: str, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Ask the API at ``url`` (``http://HOST:PORT/v1``), with the ``key`` if there is one."""
        self.url = url.rstrip("/")
        self._key = key
        authorization = {"Authorization": f"Bearer {key}"} if key else {}
        self._headers = {**authorization, **(headers or {})}
        self._trusted = httpx2.create_ssl_context()
        self._idle: list[httpx2.AsyncClient] = []

    async def complete(self, body: Mapping[str, Any]) -> ChatCompletion:
        """Return the answer to a chat. Raises ``ServerFault``."""
        return await self._ask("POST", "/chat/completions", ChatCompletion, body)

    async def models(self) -> tuple[str, ...]:
        """Return the names of the server's models. Raises ``ServerFault``."""
        return (await self._ask("GET", "/models", ModelList)).names

    async def aclose(self) -> None:
        """End the connections; nothing is under way any more."""
        while self._idle:
            await self._idle.pop().aclose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Give a connection that nobody else uses."""
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)

    def _connect(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=self._headers,
            verify=self._trusted,
            limits=httpx2.Limits(max_connections=1),
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
        )

    async def _ask(
        self, method: str, path: str, kind: type[_Read], body: Mapping[str, Any] | None = None
    ) -> _Read:
        content = msgspec.json.encode(body) if body is not None else None
        told = {"Content-Type": "application/json"} if content is not None else {}
        try:
            async with (
                self._connection() as connection,
                connection.stream(
                    method, self.url + path, content=content, headers=told
                ) as response,
            ):
                answer = await _read(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ServerFault("away", f"cannot be reached ({_said(error)})") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ServerFault("broken", f"the request failed ({_said(error)})") from error
        if response.status_code not in _SUCCESS:
            raise _refusal(response, answer, self._key)
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            what = response.headers.get("Content-Type", "something")[:_SHOWN]
            wanted = "chat completion" if kind is ChatCompletion else "list of models"
            raise ServerFault(
                "nonsense", f"answers with {what}, which is no {wanted} ({error})"
            ) from error


async def _read(response: httpx2.Response) -> bytes:
    answer = bytearray()
    async for part in response.aiter_bytes():
        answer += part
        if len(answer) > _ANSWER_BYTES:
            raise ServerFault("nonsense", f"answers with more than {_ANSWER_BYTES >> 20} MiB")
    return bytes(answer)


def _refusal(response: httpx2.Response, answer: bytes, key: str) -> ServerFault:
    """Return what a status says; a server that repeats our key is not quoted with it."""
    status = response.status_code
    said = response.headers.get("Location") or reason_of(answer, response.reason_phrase)
    said = said.replace(key, "***")[:_REASON] if key else said[:_REASON]
    again_s = _retry_after_s(response.headers.get("Retry-After", ""))
    return ServerFault(
        _kind_of(status, again_s),
        f"HTTP {status}, {said}",
        status=status,
        again_s=again_s,
    )


def _kind_of(status: int, again_s: float | None) -> Kind:
    if status == _NOT_NOW or (status == _TOO_MANY and again_s is not None):
        return "later"
    if status in _OWN_FAULT:
        return "request"
    return "broken" if status >= _SERVER_ERRORS or status == _TOO_SLOW else "refused"


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _retry_after_s(header: str) -> float | None:
    """Return the seconds of a ``Retry-After``: a number of them, or a date; None without one."""
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
