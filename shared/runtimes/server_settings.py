"""What settings say of a server that runs a model: where it is, its key, and how it is reached."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import SettingsError
from shared.runtimes.chat_client import ChatClient
from shared.settings.address import is_loopback
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.runtimes.model_settings import ModelSettings

    Connect = Callable[[], ChatClient]

_log = get_logger()


def connector(settings: ModelSettings) -> Connect:
    """Return what makes clients of the server. Raises ``SettingsError``, and asks nothing."""
    _check_url(settings.source)
    if not settings.model:
        raise SettingsError(
            "model.model is missing: the runtime openai needs the model's name at the server"
        )
    key = _read_key(settings)
    headers = dict(settings.headers)
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and (name + value).isprintable() and name):
            raise SettingsError(f"model.headers.{name}: a header is one line of ASCII")
    return lambda: ChatClient(settings.source, key=key, headers=headers)


def _read_key(settings: ModelSettings) -> str:
    """Return the server's key, empty if none is named. Raises ``SettingsError``."""
    if settings.key_env and settings.key_file:
        raise SettingsError("model.key_env and model.key_file name two keys; keep one of them")
    if settings.key_file:
        try:
            key = Path(settings.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"model.key_file {settings.key_file!r} cannot be read: {error}"
            ) from error
    elif settings.key_env:
        key = os.environ.get(settings.key_env, "").strip()
    else:
        return ""
    where = "model.key_file" if settings.key_file else "model.key_env"
    if not key:
        raise SettingsError(
            f"{where} names {settings.key_file or settings.key_env}, where there is no key"
        )
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(f"{where}: the key there is not one line of ASCII")
    return key


def _check_url(source: str) -> None:
    try:
        parts = urlsplit(source)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise SettingsError(
            f"model.source is {source!r}, but the runtime openai needs the URL of an API, such as "
            "http://HOST:PORT/v1"
        )
    if parts.username or parts.password:
        raise SettingsError(
            "model.source has a user or password in it, which would be seen in logs; name the key "
            "with model.key_env or model.key_file, or a header with model.headers"
        )


def warn_in_the_clear(settings: ModelSettings) -> None:
    """Say in the log where prompts leave this machine for others to read."""
    parts = urlsplit(settings.source)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        keyed = "with the key, " if settings.key_env or settings.key_file else ""
        _log.warning(
            "prompts go to the model's server in the clear",
            host=parts.hostname,
            advice=f"{keyed}whoever can read that network reads them; use https:// there",
        )
