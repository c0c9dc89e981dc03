"""Certificates as they come out, judged by OpenSSL's own rules."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.authority import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    Authority,
    Credential,
    ends_on,
    serials,
)
from shared.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("a site")


def read(credential: Credential) -> x509.Certificate:
    return x509.load_pem_x509_certificate(credential.certificate)


def verify(
    authority: Authority, credential: Credential, purpose: str, folder: Path, crl: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Let ``openssl`` say whether a certificate will do, strictly."""
    (folder / "ca.crt").write_bytes(authority.credential.certificate + crl)
    (folder / "leaf.crt").write_bytes(credential.certificate)
    words = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt"]
    words += ["-crl_check"] if crl else []
    return subprocess.run(
        [*words, "leaf.crt"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_each_certificate_is_good_for_its_one_use(authority: Authority, tmp_path: Path) -> None:
    broker = authority.for_broker(["broker.lan"])
    agent = authority.for_agent("device-1")

    assert verify(authority, broker, "sslserver", tmp_path).returncode == 0
    assert verify(authority, agent, "sslclient", tmp_path).returncode == 0
    assert verify(authority, broker, "sslclient", tmp_path).returncode != 0
    assert verify(authority, agent, "sslserver", tmp_path).returncode != 0


def test_an_agents_certificate_carries_its_name_and_signs_no_other(
    authority: Authority, tmp_path: Path
) -> None:
    agent = authority.for_agent("device-1")
    certificate = read(agent)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "device-1"
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    forger = Authority.read(agent)
    forged = forger.for_agent("device-2")
    chain = authority.credential.certificate + agent.certificate
    (tmp_path / "ca.crt").write_bytes(authority.credential.certificate)
    (tmp_path / "chain.crt").write_bytes(chain)
    (tmp_path / "leaf.crt").write_bytes(forged.certificate)
    ran = subprocess.run(
        ["openssl", "verify", "-CAfile", "ca.crt", "-untrusted", "chain.crt", "leaf.crt"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "invalid CA certificate" in ran.stdout + ran.stderr


def test_the_broker_is_known_by_names_and_by_addresses(authority: Authority) -> None:
    made = read(authority.for_broker(["broker.lan", "192.168.1.5", "fd00::5"]))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.lan"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.168.1.5"),
        ipaddress.ip_address("fd00::5"),
    ]


def test_lifetimes_are_the_stated_ones_and_allow_for_a_slow_clock(authority: Authority) -> None:
    now = dt.datetime.now(dt.timezone.utc)
    for credential, days in (
        (authority.credential, AUTHORITY_DAYS),
        (authority.for_agent("a"), CERTIFICATE_DAYS),
        (authority.for_broker(["b"]), CERTIFICATE_DAYS),
    ):
        made = read(credential)
        assert abs(made.not_valid_after_utc - now - dt.timedelta(days=days)) < dt.timedelta(hours=1)
        assert made.not_valid_before_utc <= now - dt.timedelta(hours=23)
        assert ends_on(credential.certificate) == str(made.not_valid_after_utc.date())


def test_keys_are_on_p_256_and_serial_numbers_do_not_count_up(authority: Authority) -> None:
    made = [authority.for_agent("a") for _ in range(4)]
    for credential in made:
        key = read(credential).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
    numbers = {credential.serial for credential in made}
    assert len(numbers) == 4
    assert max(numbers) - min(numbers) > 2**100
    assert min(number.bit_length() for number in numbers) > 100


def test_a_revoked_certificate_fails_and_its_neighbour_does_not(
    authority: Authority, tmp_path: Path
) -> None:
    bad, good = authority.for_agent("bad"), authority.for_agent("good")
    listing = authority.revoke([bad.serial])
    (tmp_path / "revoked.crl").write_bytes(listing)

    assert serials(tmp_path / "revoked.crl") == {bad.serial}
    assert "revoked" in verify(authority, bad, "sslclient", tmp_path, listing).stderr
    assert verify(authority, good, "sslclient", tmp_path, listing).returncode == 0


def test_an_empty_list_outlives_every_certificate(authority: Authority, tmp_path: Path) -> None:
    listing = authority.revoke([])
    assert (
        verify(authority, authority.for_agent("a"), "sslclient", tmp_path, listing).returncode == 0
    )
    end = x509.load_pem_x509_crl(listing).next_update_utc
    assert end == read(authority.credential).not_valid_after_utc


def test_an_authority_read_back_is_the_same(authority: Authority, tmp_path: Path) -> None:
    again = Authority.read(authority.credential)
    assert verify(authority, again.for_agent("a"), "sslclient", tmp_path).returncode == 0


def test_files_that_are_not_an_authoritys_are_refused(authority: Authority) -> None:
    other = Authority.create("another").credential
    with pytest.raises(SettingsError, match="does not belong"):
        Authority.read(Credential(authority.credential.certificate, other.key))
    with pytest.raises(SettingsError, match="not PEM"):
        Authority.read(Credential(b"nonsense", other.key))
