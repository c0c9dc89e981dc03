"""Logging: one event name plus keys; JSON unless on a terminal; never a prompt's text at info."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

if TYPE_CHECKING:
    from shared.settings import LogSettings

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def get_logger() -> Any:
    """Return the logger; it takes its configuration when it is first used."""
    return structlog.get_logger()


def configure_once(settings: LogSettings) -> None:
    """Do the same where nobody did it yet: a program that uses us may have its own ideas."""
    if not structlog.is_configured():
        configure(settings)


def configure(settings: LogSettings) -> None:
    """Send this process's events to standard error in the wanted form."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderers: list[Any] = [structlog.processors.format_exc_info, _render_json]
    if console:
        # The default would print the local variables of a traceback: what was asked, among them.
        plain = structlog.dev.plain_traceback
        renderers = [structlog.dev.ConsoleRenderer(pad_event_to=28, exception_formatter=plain)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def _render_json(_logger: Any, _method: str, event: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
