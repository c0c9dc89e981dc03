"""What a connection proves itself with: passwords, certificates and their keys."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from shared.bus.mqtt.credentials import check_credentials, read_password, tls_context
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.errors import SettingsError
from tests.support.certificates import self_signed

if TYPE_CHECKING:
    from pathlib import Path


def test_the_password_is_the_file_less_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes("pässword with space \r\n".encode())
    assert read_password(MqttSettings(password_file=str(file))) == "pässword with space "


def test_without_a_file_the_password_is_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSERVE_MQTT_PASSWORD", "from the environment")
    assert read_password(MqttSettings()) == "from the environment"


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "cannot be read"), (b"\xff\xfe", "is not UTF-8")]
)
def test_a_password_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    file = tmp_path / "the-password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"mqtt\.password_file .*the-password.* {fault}"):
        check_credentials(MqttSettings(username="u", password_file=str(file)))


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_certificate_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, key: str
) -> None:
    file = tmp_path / "cert.pem"
    if content is not None:
        file.write_bytes(content)
    tls = TlsSettings(**{key: str(file)})
    with pytest.raises(SettingsError, match=rf"mqtt\.tls\.{key} .*cert\.pem.* cannot be used"):
        check_credentials(MqttSettings(tls=tls))


def test_a_key_that_does_not_fit_its_certificate_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        self_signed(tmp_path, name)
    fitting = TlsSettings(cert_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "a.key"))
    assert tls_context(fitting)

    crossed = TlsSettings(cert_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "b.key"))
    with pytest.raises(SettingsError, match=r"a\.pem' with '.*b\.key' cannot be used"):
        tls_context(crossed)


def encrypted(folder: Path, passphrase: str) -> TlsSettings:
    """A certificate whose key nobody reads without a passphrase."""
    certificate, key = self_signed(folder)
    locked = folder / "locked.key"
    subprocess.run(
        [
            "openssl",
            "pkey",
            "-in",
            key,
            "-out",
            locked,
            "-aes256",
            "-passout",
            f"pass:{passphrase}",
        ],
        check=True,
        capture_output=True,
    )
    return TlsSettings(cert_file=str(certificate), key_file=str(locked))


def test_an_encrypted_key_without_its_passphrase_is_refused_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECSERVE_MQTT_KEY_PASSPHRASE", raising=False)
    tls = encrypted(tmp_path, "open sesame")
    with pytest.raises(SettingsError, match=r"locked\.key' is encrypted.*passphrase_file.*openssl"):
        tls_context(tls)


def test_a_passphrase_comes_from_a_file_or_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = encrypted(tmp_path, "grüße")
    monkeypatch.setenv("RECSERVE_MQTT_KEY_PASSPHRASE", "grüße")
    assert tls_context(tls)

    file = tmp_path / "passphrase"
    file.write_text("wrong\n", encoding="utf-8")
    named = structs.replace(tls, passphrase_file=str(file))
    with pytest.raises(SettingsError, match=r"locked\.key' has another passphrase"):
        tls_context(named)
    file.write_text("grüße\n", encoding="utf-8")
    assert tls_context(named)
    with pytest.raises(SettingsError, match=r"mqtt\.tls\.passphrase_file .* cannot be read"):
        tls_context(structs.replace(tls, passphrase_file=str(tmp_path)))
