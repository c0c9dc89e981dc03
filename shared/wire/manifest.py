"""The manifest of a bundle that is shipped: what it is made of, for which site, by whose word.

What is signed is a text inside the envelope, byte for byte, so that no two ways to write the same
JSON can be played against each other. A file is named by its SHA-256, and so is each chunk of it:
whoever has the manifest can take any byte from anybody. Signing is ``shared.nodes.signing``. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from shared.errors import MalformedMessage
from shared.wire.control import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES: Final = 1 << 20
MANIFEST_BYTES: Final = 900_000
"""Of the whole envelope; enough for bundles of some 18 GB in chunks of 1 MiB."""
_HASH_BYTES: Final = 32
_FORM: Final = 1


class ShippedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file; ``chunks`` are the SHA-256 of its chunks one after the other, in base64."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
    sha256: Digest
    size_bytes: Annotated[int, Meta(ge=0)]
    chunks: str

    def hashes(self) -> list[bytes]:
        """Return the SHA-256 of every chunk. Raises ``MalformedMessage``."""
        try:
            whole = base64.b64decode(self.chunks, validate=True)
        except (binascii.Error, ValueError) as error:
            raise MalformedMessage(f"{self.name}: chunks are not base64") from error
        count = -(-self.size_bytes // CHUNK_BYTES)
        if len(whole) != count * _HASH_BYTES:
            raise MalformedMessage(f"{self.name}: {self.size_bytes} bytes have {count} chunks")
        return [whole[at : at + _HASH_BYTES] for at in range(0, len(whole), _HASH_BYTES)]


class FileSet(Protocol):
    """Files that belong together, however they were named."""

    @property
    def files(self) -> tuple[ShippedFile, ...]:
        """Each of them."""

    @property
    def size_bytes(self) -> int:
        """All of them together."""


class ShippedBundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed.

    ``serial`` orders what the authority said of one model: an agent takes nothing older than what
    it has, but for ``base``, to which it may fall back. ``digest`` is that of ``bundle.yaml``.
    """

    form: Annotated[int, Meta(ge=1, le=1)] = _FORM
    site: Annotated[str, Meta(min_length=1, max_length=200)]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Annotated[str, Meta(max_length=200)] = ""
    digest: Digest
    serial: Annotated[int, Meta(ge=0)]
    base: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")] = ""
    chunk_bytes: Annotated[int, Meta(ge=CHUNK_BYTES, le=CHUNK_BYTES)] = CHUNK_BYTES
    files: Annotated[tuple[ShippedFile, ...], Meta(min_length=1, max_length=100)]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


class SignedManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The envelope: the signed text, the id of the key, and the signature in base64."""

    body: str
    key: Annotated[str, Meta(max_length=64)]
    signature: Annotated[str, Meta(max_length=200)]


_envelopes = msgspec.json.Decoder(SignedManifest)
_bodies = msgspec.json.Decoder(ShippedBundle)


def encode_manifest(manifest: SignedManifest) -> bytes:
    """Return the payload of a manifest. Raises ``MalformedMessage`` for one that is too long."""
    payload = msgspec.json.encode(manifest)
    if len(payload) > MANIFEST_BYTES:
        raise MalformedMessage(
            f"a manifest of {len(payload)} bytes exceeds {MANIFEST_BYTES}: the bundle is too large"
        )
    return payload


def decode_manifest(payload: bytes) -> SignedManifest:
    """Read an envelope; nobody has looked at the signature then. Raises ``MalformedMessage``."""
    if len(payload) > MANIFEST_BYTES:
        raise MalformedMessage(f"a manifest of {len(payload)} bytes exceeds {MANIFEST_BYTES}")
    try:
        return _envelopes.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a manifest: {error}") from error


def read_body(manifest: SignedManifest) -> ShippedBundle:
    """Read what is signed. Raises ``MalformedMessage``."""
    try:
        bundle = _bodies.decode(manifest.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedMessage(f"not the manifest of a bundle: {error}") from error
    names = [file.name for file in bundle.files]
    if len(set(names)) < len(names):
        raise MalformedMessage("the manifest of a bundle names a file twice")
    for file in bundle.files:
        file.hashes()
    return bundle


def chunk_hashes(blocks: Iterator[bytes]) -> tuple[str, str, int]:
    """Return the ``chunks``, the SHA-256 and the size of a file that comes in chunks."""
    whole, hashes, size = hashlib.sha256(), b"", 0
    for block in blocks:
        whole.update(block)
        hashes += hashlib.sha256(block).digest()
        size += len(block)
    return base64.b64encode(hashes).decode(), whole.hexdigest(), size
