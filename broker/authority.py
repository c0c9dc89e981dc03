"""A site's own certificate authority: the broker's certificate, the agents', and the revoked.

Keys are ECDSA on P-256, serial numbers are random, and every certificate is good for one use only:
the broker's cannot log in as an agent, and an agent's cannot pose as the broker. Files are the
business of ``broker.provision``; bytes here are PEM. The only file that imports ``cryptography``.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

AUTHORITY_DAYS: Final = 3650
CERTIFICATE_DAYS: Final = 730
_CLOCKS_DIFFER: Final = dt.timedelta(days=1)


class Credential(NamedTuple):
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def serial(self) -> int:
        """The number by which it is revoked."""
        return x509.load_pem_x509_certificate(self.certificate).serial_number


class Authority:
    """Signs certificates and the list of revoked ones."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str, *, days: int = AUTHORITY_DAYS) -> Authority:
        """Make a new one that can sign certificates but no further authorities."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _called(name)
        certificate = (
            _draft(subject, subject, key, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_others=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def read(cls, credential: Credential) -> Authority:
        """Take up one that was made before. Raises ``SettingsError``."""
        try:
            certificate = x509.load_pem_x509_certificate(credential.certificate)
            key = serialization.load_pem_private_key(credential.key, None)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"the authority's files are not PEM: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SettingsError("the authority's key is not an elliptic-curve key")
        if key.public_key() != certificate.public_key():
            raise SettingsError("the authority's key does not belong to its certificate")
        return cls(certificate, key)

    @property
    def credential(self) -> Credential:
        """Its own certificate and key; whoever has the key is the authority."""
        return _pem(self._certificate, self._key)

    def for_broker(self, hosts: Iterable[str], *, days: int = CERTIFICATE_DAYS) -> Credential:
        """Return a certificate for a server that is reached by these names and addresses."""
        names = [_subject_name(host) for host in hosts]
        return self._issue(
            "broker", days, ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(names)
        )

    def for_agent(self, name: str, *, days: int = CERTIFICATE_DAYS) -> Credential:
        """Return a certificate whose common name the broker takes for the user name."""
        return self._issue(name, days, ExtendedKeyUsageOID.CLIENT_AUTH)

    def revoke(self, serials: Iterable[int]) -> bytes:
        """Return the list of revoked certificates, valid for as long as the authority.

        Its end is that late because a broker refuses everybody once its list has run out.
        """
        now = _now()
        listing = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - _CLOCKS_DIFFER)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            listing = listing.add_revoked_certificate(entry.build())
        signed = listing.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _issue(
        self, name: str, days: int, use: x509.ObjectIdentifier, *more: x509.ExtensionType
    ) -> Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        draft = (
            _draft(_called(name), self._certificate.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_others=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(issuer, critical=False)
        )
        for extension in more:
            draft = draft.add_extension(extension, critical=False)
        return _pem(draft.sign(self._key, hashes.SHA256()), key)


def ends_on(certificate: bytes) -> str:
    """Return the last day of a certificate, as in 2028-02-29 (UTC)."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.date().isoformat()


def serials(listing: Path) -> set[int]:
    """Return the serial numbers on a list of revoked certificates."""
    return {entry.serial_number for entry in x509.load_pem_x509_crl(listing.read_bytes())}


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    """Begin a certificate; machines whose clock is up to a day behind accept it at once."""
    now, public = _now(), key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    return Credential(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
