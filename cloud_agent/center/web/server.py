"""Serves the page: whole pages, fragments of them, the events, and what programs read and write."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cloud_agent.center.web import formats, views
from cloud_agent.center.web.access import COOKIE, PageGuard, is_own_origin, read_token, token_place
from cloud_agent.center.web.api import CenterApi
from cloud_agent.center.web.charts import charts_of
from shared.errors import SettingsError
from shared.settings.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request as HttpRequest
    from starlette.types import ASGIApp, Receive, Scope, Send

    from cloud_agent.center.app import Center
    from cloud_agent.center.events import CenterEvent

_HERE: Final = Path(__file__).parent
_HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_IDLE_S: Final = 15.0
_GATHER_S: Final = 0.05
"""Events of so long go out together: at a thousand agents hundreds come a second."""
_LAID_OUT_ONCE: Final = ("tile", "fleet_row")
"""Parts of which a page has hundreds: with the same values each is laid out once."""
_KEPT: Final = 4_096
_LOGIN_BYTES: Final = 4_096
_FIRST: Final = views.PAGES[0]
"""Stands at the root."""


@contextlib.asynccontextmanager
async def page(center: Center) -> AsyncIterator[str]:
    """Serve a centre's page as long as the context lasts; yields its URL.

    Raises ``SettingsError`` when the port is taken, or the token can be neither read nor made.
    """
    web = center.settings.web
    try:
        listener = socket.create_server((web.host, web.port), backlog=512)
    except OSError as error:
        where = Address(web.host, web.port)
        raise SettingsError(f"web: cannot listen on {where} ({error.strerror})") from error
    url = f"http://{Address(web.host, listener.getsockname()[1])}"
    config = uvicorn.Config(
        application(center), log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="page")
    center.blobs_url = center.blobs_url or url
    await center.announce()
    try:
        yield url
    finally:
        server.should_exit = True
        center.events.close()
        await asyncio.gather(serving, return_exceptions=True)
        listener.close()


class _Server(uvicorn.Server):
    """Leaves signals to the centre."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def application(center: Center) -> ASGIApp:
    """Return the page as an ASGI application."""
    guard = PageGuard(read_token(token_place(center.settings)), center.settings.web.host)
    pages = CenterPages(center, guard)
    routes = [
        *CenterApi(center, guard).routes(),
        *pages.routes(),
        Mount("/static", StaticFiles(directory=_HERE / "static")),
    ]
    return _Guarded(Starlette(routes=routes))


class _Guarded:
    """Puts the same headers on every answer."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._inner(scope, receive, headed)


class CenterPages:
    """The pages for people, and the events that keep them true."""

    def __init__(self, center: Center, guard: PageGuard) -> None:
        self._center = center
        self._guard = guard
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= formats.FILTERS
        parts: Any = self._templates.get_template("parts.html").module
        for name in _LAID_OUT_ONCE:
            self._templates.globals[name] = lru_cache(_KEPT)(getattr(parts, name))

    def routes(self) -> list[Route]:
        """Return them all."""
        return [
            Route("/", self._page(_FIRST)),
            *(Route(f"/{name}", self._page(name)) for name in views.PAGES[1:]),
            Route("/nodes/{name}", self._page("node")),
            Route("/fragments/nodes/{name}", self._fragment("node")),
            *(Route(f"/fragments/{name}", self._fragment(name)) for name in views.PAGES),
            Route("/events", self._events),
            Route("/login", self._login, methods=["GET", "POST"]),
        ]

    def _page(self, name: str) -> Any:
        async def show(request: HttpRequest) -> Response:
            if not self._may_read(request):
                return RedirectResponse("/login", 303)
            return self._render(request, name, "page.html")

        return show

    def _fragment(self, name: str) -> Any:
        async def show(request: HttpRequest) -> Response:
            if not self._may_read(request):
                return Response(status_code=401)
            return self._render(request, name, f"{name}.html")

        return show

    def _render(self, request: HttpRequest, name: str, template: str) -> Response:
        agent = request.path_params.get("name", "")
        values = views.values(self._center, name, agent, time.monotonic())
        if values is None:
            return HTMLResponse(self._templates.get_template("missing.html").render(), 404)
        path = f"nodes/{agent}" if agent else name
        text = self._templates.get_template(template).render(
            page=name,
            pages=views.PAGES,
            fragment=f"/fragments/{path}",
            last=self._center.events.last,
            **charts_of(name, agent),
            **values,
        )
        return HTMLResponse(text)

    async def _login(self, request: HttpRequest) -> Response:
        """Take the token in a form, and give a cookie that may read."""
        wrong = False
        if request.method == "POST":
            body = (await request.body())[:_LOGIN_BYTES].decode(errors="replace")
            token = body.strip().removeprefix("token=")
            if is_own_origin(request.headers) and self._guard.knows(token):
                went = RedirectResponse("/", 303)
                went.set_cookie(COOKIE, self._guard.cookie, httponly=True, samesite="strict")
                return went
            wrong = True
        text = self._templates.get_template("login.html").render(wrong=wrong)
        return HTMLResponse(text, 403 if wrong else 200)

    async def _events(self, request: HttpRequest) -> Response:
        """Send what happened after ``Last-Event-ID``, and then what happens."""
        if not self._may_read(request):
            return Response(status_code=401)
        asked = request.headers.get("last-event-id") or request.query_params.get("after", "")
        number = int(asked) if asked.isdigit() else self._center.events.last
        return StreamingResponse(self._stream(number), media_type="text/event-stream")

    async def _stream(self, number: int) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        async for events in self._center.events.follow(number, _IDLE_S):
            yield b"".join(map(_as_sent, events)) or b": nothing new\n\n"
            await asyncio.sleep(_GATHER_S)

    def _may_read(self, request: HttpRequest) -> bool:
        return self._guard.may_read(request.headers, request.cookies)


def _as_sent(event: CenterEvent) -> bytes:
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: fleet\ndata: %b\n\n" % (event.number, data)
