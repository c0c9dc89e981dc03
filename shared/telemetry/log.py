"""Logging: one event name plus keys; JSON unless on a terminal; never a prompt's text at info."""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import msgspec
import structlog
from msgspec import Meta

from shared.settings.base import Closed
from shared.telemetry.log_lines import LogLines

if TYPE_CHECKING:
    from typing import TextIO


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LogSettings(Closed, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severe level shown")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"], Meta(description="auto: console on a terminal")
    ] = "auto"


def get_logger() -> Any:
    """Return the logger; it takes its configuration when it is first used."""
    return structlog.get_logger()


def configure_once(settings: LogSettings) -> None:
    """Do the same where nobody did it yet: a program that uses us may have its own ideas."""
    if not structlog.is_configured():
        configure(settings)


def configure(settings: LogSettings) -> None:
    """Send this process's events to standard error in the wanted form.

    Whether they can be written there decides nothing: see ``shared.telemetry.log_lines``.
    """
    console = settings.format == "console" or (settings.format == "auto" and _on_terminal())
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
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _lines())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=_lines())


def silence() -> None:
    """Log no faults: for a command that says in words of its own what is wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def flush_log(timeout_s: float = 1.0) -> None:
    """Wait, no longer than this, until what was logged is written: before an end without one."""
    if _lines.cache_info().currsize:
        _lines().drain(timeout_s)


def dropped_lines() -> int:
    """Return how many lines of this process could not be written."""
    return _lines().dropped if _lines.cache_info().currsize else 0


@functools.cache
def _lines() -> LogLines:
    """Return what writes the log of this process: one thread, however often it is configured."""
    return LogLines(sys.stderr, _say_dropped)


def _say_dropped(lines: int) -> None:
    get_logger().warning("log lines dropped", lines=lines)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _render_json(_logger: Any, _method: str, event: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
