"""A server on loopback that answers HTTP as a test tells it to, however rudely.

It runs in a thread with an event loop of its own. What it says are raw bytes, so that it can stop
in the middle of them; ``SILENCE`` says nothing at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SILENCE: Final = b""


class Asked(NamedTuple):
    """One request: its headers, by lower-case name, and its body."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class RudeServer:
    """What a test tells, and what it hears.

    ``reply`` makes the bytes of each answer from the request and its number, the first being 0.
    """

    def __init__(self, reply: Callable[[Asked, int], bytes]) -> None:
        self.reply = reply
        self.asked: list[Asked] = []
        self.left = threading.Event()
        """Set once somebody hung up on a silence."""
        self.port = 0
        self.under_way = 0
        self.most_under_way = 0
        self.takes_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")).strip():
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # cancelled at the end: the streams of asyncio would complain of that
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first, *lines = head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = Asked(first.split()[1], headers, json.loads(content) if content else {})
        self.asked.append(asked)
        said = self.reply(asked, len(self.asked) - 1)
        if said == SILENCE:
            await reader.read()
            self.left.set()
            raise ConnectionResetError
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.takes_s)
        self.under_way -= 1
        writer.write(said)
        await writer.drain()
        if b"Connection: close" in said:
            raise ConnectionResetError


@contextlib.contextmanager
def rude_server(reply: Callable[[Asked, int], bytes]) -> Iterator[RudeServer]:
    """Run such a server while the context lasts."""
    server = RudeServer(reply)
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        await done.wait()
        listening.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(10), "the server listens"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def http(status: str, body: object, *headers: str) -> bytes:
    """Return an answer; a ``body`` that is no text becomes JSON."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    kind = "text/html" if isinstance(body, str) else "application/json"
    return "\r\n".join([*lines, f"Content-Type: {kind}", "", ""]).encode() + content


def completion(text: str = "yes", *log_probabilities: float, **fields: Any) -> dict[str, Any]:
    """Return a chat completion as servers write it."""
    content = [{"token": "x", "logprob": chance} for chance in log_probabilities]
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        **({"logprobs": {"content": content}} if content else {}),
        **fields,
    }
    return {
        "object": "chat.completion",
        "choices": [choice],
        "usage": {"prompt_tokens": 7, "completion_tokens": max(1, len(content))},
    }


def refusal(message: str) -> dict[str, Any]:
    """Return an error as servers write it."""
    return {"error": {"message": message, "type": "error"}}
