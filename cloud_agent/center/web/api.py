"""What programs read and write: the fleet, the catalogue, wishes and rollouts as JSON; blobs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from cloud_agent.center.rollouts.driver import RolloutOrder
from shared.errors import MalformedMessage, RecServeError, StoreError
from shared.nodes.blob_server import read_range
from shared.wire.manifest import decode_manifest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request as HttpRequest

    from cloud_agent.center.app import Center
    from cloud_agent.center.web.access import PageGuard

_BODY_BYTES: Final = 1 << 20
_BLOB_BYTES: Final = 64 << 30
NO_HISTORY: Final[dict[str, Any]] = {"at": [], "charts": {}}


class Assignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which agents are to serve which bundle; none: what their settings name."""

    to: str
    bundle: str = ""
    reason: str = "by hand"


class CenterApi:
    """The routes below ``/api`` and ``/blobs``."""

    def __init__(self, center: Center, guard: PageGuard) -> None:
        self._center = center
        self._guard = guard
        self.blob_bytes = 0
        """Bytes of blobs sent."""

    def routes(self) -> list[Route]:
        """Return them all."""
        reads = {
            "fleet": self._fleet,
            "models": self._models,
            "rollout": self._rollout,
            "prompts": self._prompts,
        }
        writes = {
            "manifests": self._take_manifest,
            "assign": self._assign,
            "rollback": self._roll_back,
            "collect": self._collect,
            "rollout": self._begin_rollout,
            "rollout/abort": self._abort_rollout,
        }
        return [
            *(Route(f"/api/{p}", self._read(f), methods=["GET"]) for p, f in reads.items()),
            Route("/api/history/{what}", self._read(self._history), methods=["GET"]),
            Route("/api/history/nodes/{name}", self._read(self._node_history), methods=["GET"]),
            *(Route(f"/api/{p}", self._write(f), methods=["POST"]) for p, f in writes.items()),
            Route("/blobs/{sha256}", self._blob, methods=["GET"]),
            Route("/blobs/{sha256}", self._take_blob, methods=["PUT"]),
        ]

    # -- reading ---------------------------------------------------------------------------------

    async def _fleet(self, _: HttpRequest) -> Any:
        return {"agents": [member.told() for member in self._center.registry]}

    async def _models(self, _: HttpRequest) -> Any:
        shipping = self._center.shipping
        return {
            "bundles": shipping.bundles,
            "wishes": shipping.wishes,
            "states": {m.name: m.state for m in self._center.registry if m.state is not None},
        }

    async def _rollout(self, _: HttpRequest) -> Any:
        return {"rollout": self._center.rollouts.current, "says": self._center.rollouts.says}

    async def _prompts(self, _: HttpRequest) -> Any:
        return {"prompts": list(self._center.listener.explained)}

    async def _history(self, request: HttpRequest) -> Any:
        """Return what the charts show: of the fleet, or of the rounds where there are any."""
        rounds = self._center.rounds
        if request.path_params["what"] == "rounds":
            return NO_HISTORY if rounds is None else rounds.reports.columns()
        return self._center.history.columns()

    async def _node_history(self, request: HttpRequest) -> Any:
        trace = self._center.history.traces.get(request.path_params["name"])
        return NO_HISTORY if trace is None else trace.columns()

    async def _blob(self, request: HttpRequest) -> Response:
        """Send a range of a blob to whoever knows its hash."""
        try:
            path = self._center.shipping.store.blob(request.path_params["sha256"])
            size = path.stat().st_size
        except (StoreError, OSError):
            return Response(status_code=404)
        wanted = read_range(request.headers.get("range", ""), size)
        if wanted is None:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        offset, length = wanted
        data = await asyncio.to_thread(_read_at, path, offset, length)
        self.blob_bytes += len(data)
        said = f"bytes {offset}-{offset + len(data) - 1}/{size}"
        return Response(data, 206, {"Content-Range": said}, media_type="application/octet-stream")

    # -- writing ---------------------------------------------------------------------------------

    async def _take_manifest(self, body: bytes) -> Any:
        manifest = decode_manifest(body)
        lacking = self._center.shipping.lacking(manifest)
        if lacking:
            return {"lacking": lacking}
        return {"bundle": await self._center.shipping.take(manifest)}

    async def _assign(self, body: bytes) -> Any:
        order = msgspec.json.decode(body, type=Assignment)
        shipping = self._center.shipping
        digest = shipping.resolve(order.bundle).digest if order.bundle else ""
        agents = shipping.matching(order.to)
        changed = await shipping.assign(agents, digest, order.reason[:200])
        return {"agents": agents, "changed": changed, "digest": digest}

    async def _roll_back(self, body: bytes) -> Any:
        order = msgspec.json.decode(body, type=Assignment)
        shipping = self._center.shipping
        agents = shipping.matching(order.to)
        return {"agents": agents, "back": await shipping.roll_back(agents, order.reason[:200])}

    async def _collect(self, _: bytes) -> Any:
        return {"dropped": await self._center.shipping.collect()}

    async def _begin_rollout(self, body: bytes) -> Any:
        order = msgspec.json.decode(body, type=RolloutOrder)
        return {"rollout": await self._center.rollouts.begin(order)}

    async def _abort_rollout(self, _: bytes) -> Any:
        return {"rollout": await self._center.rollouts.abort("aborted by hand")}

    async def _take_blob(self, request: HttpRequest) -> Response:
        """Take a file under its hash, if it is that."""
        refused = self._guard.why_not_write(request.headers)
        if refused:
            return answer({"error": refused}, 403)
        store = self._center.shipping.store
        beside = store.folder / "parts" / f"upload-{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        try:
            place = store.blob(request.path_params["sha256"])
            with beside.open("wb") as file:
                async for block in request.stream():
                    digest.update(block)
                    size += len(block)
                    await asyncio.to_thread(file.write, block)
                    if size > _BLOB_BYTES:
                        return answer({"error": "the file is too large"}, 413)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            if digest.hexdigest() != place.name:
                return answer({"error": "the file has another SHA-256 than its address"}, 400)
            beside.replace(place)
        except StoreError as error:
            return answer({"error": str(error)}, 400)
        except OSError as error:
            said = f"{store.folder}: the file cannot be kept ({error.strerror})"
            return answer({"error": said}, 507)
        finally:
            beside.unlink(missing_ok=True)
        return answer({"bytes": size})

    def _read(
        self, call: Callable[[HttpRequest], Awaitable[Any]]
    ) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def read(request: HttpRequest) -> Response:
            if not self._guard.may_read(request.headers, request.cookies):
                return answer({"error": "the token is missing or wrong"}, 401)
            return answer(await call(request))

        return read

    def _write(
        self, call: Callable[[bytes], Awaitable[Any]]
    ) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def write(request: HttpRequest) -> Response:
            refused = self._guard.why_not_write(request.headers)
            if refused:
                return answer({"error": refused}, 403)
            body = b""
            async for block in request.stream():
                body += block
                if len(body) > _BODY_BYTES:
                    return answer({"error": "the message is too long"}, 413)
            try:
                return answer(await call(body))
            except (msgspec.DecodeError, MalformedMessage, UnicodeDecodeError) as error:
                return answer({"error": str(error)}, 400)
            except RecServeError as error:
                return answer({"error": str(error)}, 409)

        return write


def answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _read_at(path: Any, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), length, offset)
