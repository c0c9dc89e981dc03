"""What every command has in common: its three standard handles, and how it ends on an error."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

import click

from shared.errors import Fenced, RecServeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_LAST: Final = 2
FENCED_STATUS: Final = 3
"""Exit status of an agent whose name a newer process has; who restarts agents leaves that one be:
started again it would be the newer, and the two would end each other for ever."""


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the project's errors into one line on standard error and exit status 2, or 3."""
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("stopped", err=True)
        raise SystemExit(128 + signal.SIGINT) from error
    except RecServeError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(FENCED_STATUS if isinstance(error, Fenced) else 2) from error


def open_handles() -> None:
    """Lead those that are closed to nowhere.

    The next file or connection would take their numbers, and what a library prints would go there.
    ``sys.stdin`` and ``sys.stdout`` stay None, so that whoever needs them can say so; errors are
    written to nowhere.
    """
    number = 0
    while number <= _LAST:  # opening takes the lowest number that is free
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end


def can_be_written(stream: IO[str]) -> bool:
    """Try it with an empty line."""
    try:
        stream.write("\n")
        stream.flush()
    except (OSError, ValueError):
        return False
    return True


def give_up(stream: IO[str]) -> None:
    """Lead a stream that cannot be written to nowhere, with what it still holds.

    Python tries that again when it ends, and then ends with a status of its own.
    """
    with contextlib.suppress(OSError, ValueError):  # no file behind it, or a closed one
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
