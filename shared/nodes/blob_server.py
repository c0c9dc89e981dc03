"""Lends what a store has to the neighbours, over HTTP with ranges.

Whoever knows the SHA-256 of a file may have it: that stands in signed manifests, which only members
of the site can read. Nothing is listed, nothing is written.
"""

from __future__ import annotations

import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from shared.errors import SettingsError, StoreError
from shared.settings.address import Address

if TYPE_CHECKING:
    from shared.nodes.store import BundleStore

_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?$")
_MOST: Final = 8 << 20
_QUIET_S: Final = 30.0


def read_range(header: str, size: int) -> tuple[int, int] | None:
    """Return offset and length of one range of a file; None for what is none, or outside."""
    found = _RANGE.match(header)
    if found is None:
        return None
    first = int(found[1])
    last = min(int(found[2]) if found[2] else size - 1, size - 1, first + _MOST - 1)
    return (first, last - first + 1) if first <= last else None


class BlobServer:
    """Serves a store's blobs in threads of its own."""

    def __init__(self, store: BundleStore, host: str, port: int) -> None:
        """Begin to listen. Raises ``SettingsError``."""

        class Handler(_BlobHandler):
            blobs = store

        try:
            self._server = _QuietServer((host, port), Handler)
        except OSError as error:
            where = Address(host, port)
            raise SettingsError(f"node: cannot listen on {where} ({error.strerror})") from error
        self._server.daemon_threads = True
        self.url = f"http://{Address(host, self._server.server_address[1])}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="blobs", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of neighbours that hang up."""


class _BlobHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _QUIET_S
    blobs: BundleStore

    def do_GET(self) -> None:
        """Send one range of one blob."""
        _, _, name = self.path.rpartition("/blobs/")
        try:
            with self.blobs.blob(name).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                wanted = read_range(self.headers.get("Range", ""), size)
                if wanted is None:
                    self._refuse(416, {"Content-Range": f"bytes */{size}"})
                    return
                data = os.pread(file.fileno(), wanted[1], wanted[0])
        except (OSError, StoreError):
            self._refuse(404, {})
            return
        self.send_response(206)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Range", f"bytes {wanted[0]}-{wanted[0] + len(data) - 1}/{size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
