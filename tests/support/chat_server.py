"""A chat-completions server over HTTP, a process of its own, that answers with a bundle's labels.

``python -m tests.support.chat_server BUNDLE PORT`` is that process. What is asked of the model
``honest`` a bundle answers; a model with the name of a fault shows that fault.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.testbed.processes import free_port
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks import to_line
from shared.tasks.classify import requests
from tests.support.processes import listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.runtimes import Model

KEY = "the key"
ROOT = Path(__file__).parents[2]
_START_S = 30.0
_BODIES = {
    "page": (b"<html>Welcome</html>", "text/html"),
    "empty": (b'{"choices": []}', "application/json"),
}
_REFUSALS: dict[str, tuple[int, str, dict[str, str]]] = {
    "broken": (500, "out of memory", {}),
    "breaks later": (500, "out of memory", {}),
    "moved": (301, "moved", {"Location": "https://elsewhere.example/v1"}),
    "busy": (429, "slow down", {"Retry-After": "1"}),
    "away": (503, "loading the model", {}),
    "spent": (429, "the month's budget is spent", {}),
    "gone for a day": (429, "slow down", {"Retry-After": "86400"}),
    "unknown": (404, "no model 'unknown'", {}),
}
_WHEN: dict[str, Callable[[int], bool]] = {
    "breaks later": lambda number: number > 200,
    "busy": lambda number: number % 100 == 1,
    "away": lambda number: number % 200 == 1,
}
"""At which requests a fault shows; the others at each."""


class ChatServer:
    """The process, as tests see it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"


@contextlib.contextmanager
def serving(bundle: Path) -> Iterator[ChatServer]:
    """Run the server while the context lasts."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.chat_server", str(bundle), str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        give_up_s = time.monotonic() + _START_S
        while not listens(port):
            assert process.poll() is None, "the chat server ended"
            assert time.monotonic() < give_up_s, "the chat server does not listen"
            time.sleep(0.05)
        yield ChatServer(port)
    finally:
        process.kill()
        process.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], model: Model) -> None:
        super().__init__(address, _Handler)
        self.model = model
        self.turn = threading.Lock()
        self.asked: dict[str, int] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""

    def label(self, text: str) -> str:
        with self.turn:
            (entry,) = self.model.answer(requests([text]))
        assert isinstance(entry, Scored)
        return to_line(entry.answer)

    def count(self, model: str) -> int:
        """Return how often a model was asked, this time included."""
        with self.turn:
            self.asked[model] = self.asked.get(model, 0) + 1
            return self.asked[model]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._refuse(404, f"nothing is served at {self.path}")
            return
        text = asked["messages"][-1]["content"]
        self._answer(asked["model"], text, self.server.count(asked["model"]))

    def _answer(self, model: str, text: str, number: int) -> None:
        if model == "locked" and self.headers["Authorization"] != f"Bearer {KEY}":
            self._refuse(401, "wrong API key")
        elif model in _BODIES:
            self._send(200, *_BODIES[model])
        elif model in _REFUSALS and (model not in _WHEN or _WHEN[model](number)):
            status, message, headers = _REFUSALS[model]
            self._refuse(status, message, **headers)
        else:
            time.sleep(5 if model == "slow" else 0)
            self._say(_spell(model, self.server.label(text), number))

    def _say(self, content: str) -> None:
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": content}}
        self._send(200, json.dumps({"object": "chat.completion", "choices": [choice]}).encode())

    def _refuse(self, status: int, message: str, **headers: str) -> None:
        self._send(status, json.dumps({"error": {"message": message}}).encode(), **headers)

    def _send(
        self, status: int, body: bytes, kind: str = "application/json", **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _spell(model: str, label: str, number: int) -> str:
    """Return what a model says of a label."""
    if model == "chatty":
        return f"I would call this {label}!"
    if model == "sometimes chatty" and number % 50 == 0:
        return "hard to tell"
    return f" {label.capitalize()}.\n"


def _main() -> None:
    model = load_model(ModelSettings(source=sys.argv[1]))
    _Server(("127.0.0.1", int(sys.argv[2])), model).serve_forever()


if __name__ == "__main__":
    _main()
