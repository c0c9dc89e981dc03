"""Bundles to ship, with more bytes than the tiny models have, and sources that misbehave."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING

from shared.nodes.blob_server import BlobServer
from shared.nodes.signing import ManifestSigner, ManifestVerifier, new_key
from shared.nodes.sources import NEAR, SourceFailed
from shared.nodes.store import BundleStore
from shared.wire.manifest import CHUNK_BYTES, ShippedBundle, ShippedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SITE = "plant"
KEY = new_key()
SIGNER = ManifestSigner(KEY)
VERIFIER = ManifestVerifier(SIGNER.public, SITE)


def content(seed: int, size: int) -> bytes:
    """Bytes that look like nothing else."""
    block = b"".join(hashlib.sha256(f"{seed} {at}".encode()).digest() for at in range(1024))
    return (block * (size // len(block) + 1))[: size - 8] + size.to_bytes(8, "big")


def shipped(files: Mapping[str, bytes], *, name: str = "bag", serial: int = 1) -> ShippedBundle:
    """Return the description of files that need not be a model."""
    described = []
    for file, data in files.items():
        chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        hashes = b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)
        described.append(
            ShippedFile(
                name=file,
                sha256=hashlib.sha256(data).hexdigest(),
                size_bytes=len(data),
                chunks=base64.b64encode(hashes).decode(),
            )
        )
    return ShippedBundle(
        site=SITE,
        name=name,
        version="1",
        digest=described[0].sha256,
        serial=serial,
        files=tuple(described),
    )


def store_of(folder: Path, *blobs: bytes) -> BundleStore:
    """Return an open store that has these blobs."""
    store = BundleStore(folder)
    store.open()
    for data in blobs:
        store.blob(hashlib.sha256(data).hexdigest()).write_bytes(data)
    return store


class CountedOrigin:
    """A blob server that is slow, and counts what it sent, in whole chunks."""

    def __init__(self, store: BundleStore) -> None:
        self.sent = 0
        self._server = BlobServer(store, "127.0.0.1", 0)
        self.url = self._server.url
        handler = self._server._server.RequestHandlerClass
        serve = handler.do_GET  # type: ignore[attr-defined] # of the handler made in BlobServer

        def slow(this: object) -> None:
            time.sleep(0.02)
            serve(this)
            self.sent += CHUNK_BYTES

        handler.do_GET = slow  # type: ignore[attr-defined]

    def has_sent(self, size: int) -> bool:
        return self.sent >= size

    def close(self) -> None:
        self._server.close()


class TestSource:
    """Has blobs in memory, and a fault that a test chooses for each chunk that is asked for."""

    __test__ = False

    def __init__(self, *blobs: bytes, name: str = "memory", rank: int = NEAR) -> None:
        self.name = name
        self.rank = rank
        self.asked: list[tuple[str, int]] = []
        self.flips: set[int] = set()
        """Counted from 0: the answers in which a bit is flipped."""
        self.fails: set[int] = set()
        self.short: set[int] = set()
        self._blobs = {hashlib.sha256(data).hexdigest(): data for data in blobs}

    def place(self, sha256: str) -> int:
        del sha256
        return 0

    async def fetch(self, sha256: str, offset: int, length: int) -> bytes:
        turn = len(self.asked)
        self.asked.append((sha256, offset))
        if turn in self.fails or sha256 not in self._blobs:
            raise SourceFailed(f"{self.name}: not now")
        data = bytearray(self._blobs[sha256][offset : offset + length])
        if turn in self.flips:
            data[len(data) // 2] ^= 1
        return bytes(data[:-1] if turn in self.short else data)

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def bytes_asked(self) -> int:
        return len(self.asked) * CHUNK_BYTES
