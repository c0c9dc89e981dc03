"""Models behind a server that speaks OpenAI's chat completions, wherever it runs.

When a model is opened, its server is asked for a token: that shows whether it can be reached, takes
the key, has the model, tells log probabilities, and which word it has for the length of an answer.
One that loads the model first is waited for. Many requests are under way at a time, each in the
event loop of whoever drives this (``shared.serving.caller``), which decides what is tried again.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from shared.errors import (
    BundleError,
    InvalidPrompt,
    ModelFailed,
    PromptError,
    ServerAway,
    SettingsError,
)
from shared.runtimes.chat_client import CONNECT_S, ChatClient, ServerFault
from shared.runtimes.chat_requests import Chats, Manners
from shared.settings.address import is_loopback
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from shared.messages import ConfidenceKind, Scored
    from shared.runtimes.chat_wire import ChatCompletion
    from shared.runtimes.model import Entry, ModelSettings
    from shared.tasks import Request, Task

    Connect = Callable[[], ChatClient]

_log = get_logger()
_MEET_S: Final = 120.0
"""For one answer while nobody waits: a server may have to load the model first."""
_LOOK_AGAIN_S: Final = 1.0
_HOPELESS: Final = {
    401: "check the key (model.key_env or model.key_file)",
    403: "check the key (model.key_env or model.key_file)",
    404: "is model.source the URL of its API, such as http://HOST:PORT/v1, and model.model there?",
    429: "it says nothing of when to come back; check the account",
}

_Result = TypeVar("_Result")


def open_openai(settings: ModelSettings) -> OpenaiModel:
    """Return the model that the settings name, once its server has answered.

    Raises ``SettingsError`` for settings that make no sense, and ``BundleError`` when the server
    cannot be used.
    """
    connect = connector(settings)
    _warn_in_the_clear(settings)
    manners = _in_own_loop(_meet(connect, settings))
    return OpenaiModel(settings, connect, manners)


def listed_models(settings: ModelSettings) -> tuple[str, ...]:
    """Return the names of the models that a server says it has. Raises ``BundleError``."""

    async def ask() -> tuple[str, ...]:
        async with aclosing(connector(settings)()) as client:
            return await asyncio.wait_for(client.models(), CONNECT_S)

    try:
        return _in_own_loop(ask())
    except ServerFault as fault:
        raise BundleError(f"{settings.source}: {fault}") from fault
    except asyncio.TimeoutError:
        raise BundleError(f"{settings.source}: no answer within {CONNECT_S:g} s") from None


class OpenaiModel:
    """A ``Remote`` model."""

    tasks: frozenset[Task] = frozenset({"generate", "classify"})
    digest = ""

    def __init__(self, settings: ModelSettings, connect: Connect, manners: Manners) -> None:
        self.name = f"{settings.model} at {settings.source.rstrip('/')}"
        self.labels = settings.labels
        self.at_once = settings.in_flight
        self.certain = manners.certain
        self._chats = Chats(settings, manners)
        self._connect = connect
        self._client: ChatClient | None = None
        self._under_way = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def confidence_kind(self) -> ConfidenceKind:
        """What the confidence of a text is."""
        return self._chats.certainty

    async def ask(self, request: Request) -> Scored:
        """Return the server's answer; see ``Remote.ask``."""
        if self._client is None:
            self._loop, self._client = asyncio.get_running_loop(), self._connect()
        self._under_way += 1
        try:
            return await _ask(self._client, self._chats, request)
        finally:
            self._under_way -= 1
            await self._close_if_done()

    def answer(self, requests: Sequence[Request]) -> list[Entry]:
        """Return exactly one entry per request, in order, on connections of their own."""
        return _in_own_loop(self._answer(requests))

    def close(self) -> None:
        """End the connections as soon as nothing is under way."""
        self._closed = True
        if self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._close_if_done(), self._loop)

    async def leave(self) -> None:
        """End the connections, in the event loop that they belong to."""
        self._closed = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._closed and not self._under_way and self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _answer(self, requests: Sequence[Request]) -> list[Entry]:
        async with aclosing(self._connect()) as client:
            places = asyncio.Semaphore(self.at_once)

            async def one(request: Request) -> Entry:
                async with places:
                    try:
                        return await asyncio.wait_for(_ask(client, self._chats, request), _MEET_S)
                    except asyncio.TimeoutError:
                        return ModelFailed(f"{self.name} gave no answer within {_MEET_S:g} s")
                    except PromptError as error:
                        return error

            return list(await asyncio.gather(*map(one, requests)))


async def _ask(client: ChatClient, chats: Chats, request: Request) -> Scored:
    body = chats.body(request)
    started_s = time.perf_counter()
    try:
        completion = await client.complete(body)
    except ServerFault as fault:
        raise _meaning(fault) from fault
    return chats.scored(request, completion, round((time.perf_counter() - started_s) * 1e6))


def _meaning(fault: ServerFault) -> PromptError:
    """Return what a fault means for the prompt that met it."""
    match fault.kind:
        case "away" | "later":
            return ServerAway(f"the model's server {fault}", again_s=fault.again_s)
        case "refused":
            advice = _HOPELESS.get(fault.status, "redirects are not followed")
            return ServerAway(f"the model's server: {fault}; {advice}", hopeless=True)
        case "request":
            return InvalidPrompt(f"the model's server does not take this prompt: {fault}")
        case "broken" | "nonsense":
            return ModelFailed(f"the model's server: {fault}")


async def _meet(connect: Connect, settings: ModelSettings) -> Manners:
    """Return what a server has, by asking it for a token. Raises ``BundleError``."""
    place = f"{settings.source}: the model {settings.model}"
    async with aclosing(connect()) as client:
        refused: ServerFault | None = None
        for limit in ("max_tokens", "max_completion_tokens"):
            for certain in (True, False):
                body = {
                    "model": settings.model,
                    "messages": [{"role": "user", "content": "Say yes."}],
                    limit: 1,
                    **({"logprobs": True} if certain else {}),
                }
                try:
                    completion = await asyncio.wait_for(_when_ready(client, body), _MEET_S)
                except asyncio.TimeoutError:
                    raise BundleError(f"{place} gave no answer within {_MEET_S:g} s") from None
                except ServerFault as fault:
                    if fault.kind != "request":
                        raise BundleError(f"{place}: {fault}; {_remedy(fault)}") from fault
                    refused = fault
                else:
                    return Manners(completion.tokens is not None, limit)
        raise BundleError(f"{place}: {refused}; is this the model's name there?")


async def _when_ready(
    client: ChatClient, body: dict[str, Any], *, told: bool = False
) -> ChatCompletion:
    """Return the answer to a chat once the server takes it: it may have to load the model."""
    try:
        return await client.complete(body)
    except ServerFault as fault:
        if fault.kind != "later":
            raise
        if not told:
            _log.info("waiting for the server", url=client.url, reason=str(fault))
        await asyncio.sleep(_LOOK_AGAIN_S if fault.again_s is None else fault.again_s)
    return await _when_ready(client, body, told=True)


def _remedy(fault: ServerFault) -> str:
    if fault.kind == "away":
        return "is it running there?"
    return _HOPELESS.get(fault.status, "is this the URL of its API, such as http://HOST:PORT/v1?")


def connector(settings: ModelSettings) -> Connect:
    """Return what makes connections. Raises ``SettingsError`` before anything is asked."""
    _check_url(settings.source)
    if not settings.model:
        raise SettingsError(
            "model.model is missing: the runtime openai needs the model's name at the server"
        )
    key = read_key(settings)
    headers = dict(settings.headers)
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and (name + value).isprintable() and name):
            raise SettingsError(f"model.headers.{name}: a header is one line of ASCII")
    return lambda: ChatClient(settings.source, key=key, headers=headers)


def read_key(settings: ModelSettings) -> str:
    """Return the server's key, empty if none is named. Raises ``SettingsError``."""
    if settings.key_env and settings.key_file:
        raise SettingsError("model.key_env and model.key_file name two keys; keep one of them")
    if settings.key_file:
        try:
            key = Path(settings.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"model.key_file {settings.key_file!r} cannot be read: {error}"
            ) from error
    elif settings.key_env:
        key = os.environ.get(settings.key_env, "").strip()
    else:
        return ""
    where = "model.key_file" if settings.key_file else "model.key_env"
    if not key:
        raise SettingsError(
            f"{where} names {settings.key_file or settings.key_env}, where there is no key"
        )
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f"{where}: the key there is not one line of ASCII")
    return key


def _check_url(source: str) -> None:
    try:
        parts = urlsplit(source)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise SettingsError(
            f"model.source is {source!r}, but the runtime openai needs the URL of an API, such as "
            "http://HOST:PORT/v1"
        )
    if parts.username or parts.password:
        raise SettingsError(
            "model.source has a user or password in it, which would be seen in logs; name the key "
            "with model.key_env or model.key_file, or a header with model.headers"
        )


def _warn_in_the_clear(settings: ModelSettings) -> None:
    parts = urlsplit(settings.source)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        keyed = "with the key, " if settings.key_env or settings.key_file else ""
        _log.warning(
            "prompts go to the model's server in the clear",
            host=parts.hostname,
            advice=f"{keyed}whoever can read that network reads them; use https:// there",
        )


def _in_own_loop(work: Coroutine[None, None, _Result]) -> _Result:
    """Return what becomes of some work, whatever loop runs in this thread already."""
    with ThreadPoolExecutor(1, thread_name_prefix="openai") as thread:
        return thread.submit(asyncio.run, work).result()
