"""Models behind a server that speaks OpenAI's chat completions, wherever it runs.

When a model is opened, its server is asked for a token: that shows whether it can be reached, takes
the key, has the model, tells log probabilities, and which word it has for the length of an answer.
One that loads the model first is waited for. Many requests are under way at a time, each in the
event loop of whoever drives this (``shared.serving.caller``), which decides what is tried again.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.errors import (
    BundleError,
    InvalidPrompt,
    ModelFailed,
    PromptError,
    ServerAway,
)
from shared.runtimes.chat_client import CONNECT_S, ChatClient, ServerFault
from shared.runtimes.chat_requests import Chats, Manners
from shared.runtimes.server_settings import connector, warn_in_the_clear
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from shared.messages import ConfidenceKind, Scored
    from shared.runtimes.chat_wire import ChatCompletion
    from shared.runtimes.model import Entry
    from shared.runtimes.model_settings import ModelSettings
    from shared.runtimes.server_settings import Connect
    from shared.tasks import Request, Task


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
    warn_in_the_clear(settings)
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
        self.prompter = Chats(settings, manners)
        self._connect = connect
        self._client: ChatClient | None = None
        self._under_way = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def confidence_kind(self) -> ConfidenceKind:
        """What the confidence of a text is; nobody knows where the server does not tell."""
        return self.prompter.certainty if self.certain else "unknown"

    async def ask(self, request: Request) -> Scored:
        """Return the server's answer; see ``Remote.ask``."""
        if self._client is None:
            self._loop, self._client = asyncio.get_running_loop(), self._connect()
        self._under_way += 1
        try:
            return await _ask(self._client, self.prompter, request)
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
                        return await asyncio.wait_for(_ask(client, self.prompter, request), _MEET_S)
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
            advice = _HOPELESS.get(fault.status, "see to it, or to model.source")
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


def _in_own_loop(work: Coroutine[None, None, _Result]) -> _Result:
    """Return what becomes of some work, whatever loop runs in this thread already."""
    with ThreadPoolExecutor(1, thread_name_prefix="openai") as thread:
        return thread.submit(asyncio.run, work).result()
