"""Self-signed certificates for tests, made by the openssl command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def self_signed(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Return certificate and key, both PEM, good for two days on this machine."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    arguments = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", *arguments.split(), *names, *files], check=True, capture_output=True
    )
    return certificate, key
