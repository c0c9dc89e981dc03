"""Ed25519 over the manifests of bundles: the authority of a site signs, every agent checks.

The only file of ``shared`` that imports ``cryptography``, and only when a key is read: an agent
that takes no bundles from a centre does without.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from shared.errors import BundleError, MalformedMessage, RuntimeUnavailable, SettingsError
from shared.wire.manifest import ShippedBundle, SignedManifest, read_body

if TYPE_CHECKING:
    from pathlib import Path

_KEY_ID = 16


class ManifestSigner:
    """Signs in the name of a site's authority."""

    def __init__(self, pem: bytes, where: str = "the key") -> None:
        """Take up a private key. Raises ``SettingsError``."""
        ed25519, serialization = _library()
        try:
            key = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{where}: is no private key ({error})") from error
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SettingsError(f"{where}: is not an Ed25519 key")
        self._key = key

    @property
    def public(self) -> bytes:
        """The public key, PEM: what agents are given."""
        _, serialization = _library()
        pem: bytes = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return pem

    def sign(self, body: str) -> SignedManifest:
        """Return the envelope around a text."""
        signature = base64.b64encode(self._key.sign(body.encode())).decode()
        return SignedManifest(body=body, key=_key_id(self._key.public_key()), signature=signature)


class ManifestVerifier:
    """Tells what one authority signed for one site from everything else."""

    def __init__(self, pem: bytes, site: str, where: str = "the key") -> None:
        """Take up a public key. Raises ``SettingsError``."""
        ed25519, serialization = _library()
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError as error:
            raise SettingsError(f"{where}: is no public key ({error})") from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise SettingsError(f"{where}: is not an Ed25519 key")
        self._key = key
        self._id = _key_id(key)
        self._site = site

    @classmethod
    def read(cls, path: Path, site: str) -> ManifestVerifier:
        """Read the public key of a file. Raises ``SettingsError``."""
        try:
            pem = path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
        return cls(pem, site, str(path))

    def check(self, manifest: SignedManifest, digest: str = "") -> ShippedBundle:
        """Return what the authority said. Raises ``BundleError`` that says why it did not."""
        if not manifest.signature:
            raise BundleError("the manifest is not signed")
        if manifest.key != self._id:
            raise BundleError(
                f"the manifest is signed by {manifest.key or 'nobody'} and not by {self._id}, "
                "the authority of this site"
            )
        try:
            signature = base64.b64decode(manifest.signature, validate=True)
            self._key.verify(signature, manifest.body.encode())
        except (binascii.Error, ValueError, _invalid()) as error:
            raise BundleError("the signature of the manifest is not valid") from error
        try:
            bundle = read_body(manifest)
        except MalformedMessage as error:
            raise BundleError(str(error)) from error
        if bundle.site != self._site:
            raise BundleError(
                f"the manifest is for the site {bundle.site!r}, and this is {self._site!r}"
            )
        if digest and bundle.digest != digest:
            raise BundleError(f"the manifest is of {bundle.digest[:12]}, not of {digest[:12]}")
        return bundle


def new_key() -> bytes:
    """Draw a private key, PEM."""
    ed25519, serialization = _library()
    pem: bytes = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem


def _key_id(public: Any) -> str:
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:_KEY_ID]


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - optional
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"{error.name} is not installed, and bundles from a centre are signed; in the folder "
            'of this project: pip install -e ".[nodes]"'
        ) from error
    return ed25519, serialization


def _invalid() -> type[Exception]:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - optional

    return InvalidSignature
