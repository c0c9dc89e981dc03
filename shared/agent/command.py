"""The command line that every agent has: settings in, one clear line out when they are wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shared.agent.reload import holding_hangups
from shared.agent.settings import AgentSettings
from shared.cli import clear_errors, open_handles
from shared.settings.file import load
from shared.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    _Command = TypeVar("_Command", bound=Callable[..., Any])

_Settings = TypeVar("_Settings", bound=AgentSettings)


def settings_options(command: _Command) -> _Command:
    """Give a command the ``files`` and ``flags`` that an agent's settings are read from."""
    for option in (
        click.option(
            "--set",
            "flags",
            multiple=True,
            metavar="KEY=VALUE",
            help="Overrides one setting, e.g. --set tier.policy.beta=0.2; may be repeated.",
        ),
        click.option(
            "--config",
            "-c",
            "files",
            required=True,
            multiple=True,
            type=click.Path(dir_okay=False),
            help="YAML file with the agent's settings; the next one adds to it.",
        ),
    ):
        command = option(command)
    return command


def agent_command(
    name: str,
    kind: type[_Settings],
    run: Callable[[_Settings, Callable[[], _Settings]], Coroutine[Any, Any, int | None]],
    summary: str,
) -> click.Command:
    """Return the command that loads settings of ``kind`` and runs an agent with them.

    ``run`` gets them, and what reads them again from the same files, environment and flags.
    """

    @click.command(name, help=summary)
    @settings_options
    def command(files: tuple[str, ...], flags: tuple[str, ...]) -> None:
        open_handles()

        def read() -> _Settings:
            return load(kind, files, environment=os.environ, flags=flags)

        with clear_errors(), _ending_on_interrupt(), holding_hangups():
            settings = read()
            log.configure(settings.log)
            status = asyncio.run(run(settings, read)) or 0
        sys.exit(status)

    return command


@contextlib.contextmanager
def _ending_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C just end us until we run, and then as the event loop has it.

    While a model loads there is nothing to end in good order.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
