"""``recserve deadletters``: look at prompts that were given up, try them, throw them away.

Works on the agent's file in its state folder, whether the agent runs or not. An answer that a
replay brings is printed and not sent: whoever asked was told of the failure long ago.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recserve.any_settings import AnySettings
from recserve.sandbox import SandboxAnswer, run_apart
from shared.cli import clear_errors
from shared.errors import SettingsError
from shared.settings.file import load
from shared.storage.dead_letters import TABLE, DeadLetters, letters_file
from shared.storage.journal import Journal
from shared.storage.results import SCHEMA, drop_attempts, results_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from shared.storage.dead_letters import DeadLetter

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_ID = 8


@click.group("deadletters", help="List, show, replay and purge prompts that were given up.")
def command() -> None:
    """Hold the subcommands."""


def _agent(wrapped: _Command) -> _Command:
    """Add the options that say whose dead letters are meant."""
    config = click.option(
        "--config",
        "-c",
        required=True,
        multiple=True,
        type=click.Path(dir_okay=False),
        help="YAML file with the agent's settings; its state folder holds the letters.",
    )
    flags = click.option(
        "--set", "flags", multiple=True, metavar="KEY=VALUE", help="Overrides one setting."
    )
    return config(flags(wrapped))


@command.command("list", help="List them, oldest first; replay and show take the short ids.")
@_agent
@click.option("--json", "as_json", is_flag=True, help="Print them whole, one JSON object a line.")
def list_(config: tuple[str, ...], flags: tuple[str, ...], as_json: bool) -> None:
    """Print a table of all letters."""
    with clear_errors():
        found = asyncio.run(_chosen(config, flags, (), everything=True))
    if as_json:
        for letter in found:
            click.echo(msgspec.json.encode(letter))
        return
    table = Table("id", "origin", "task", "tries", "bytes", "since (UTC)", "reason")
    for letter in found:
        table.add_row(
            str(letter.id)[:_ID],
            letter.origin,
            letter.task,
            str(letter.attempts),
            str(len(letter.text.encode())),
            letter.quarantined_at[:16].replace("T", " "),
            escape(_harmless(letter.reason)),
        )
    Console().print(table if found else "no dead letters")


@command.command("show", help="Show one with its text. ID may be its beginning, or ORIGIN/ID.")
@click.argument("prompt_id", metavar="ID")
@_agent
def show(prompt_id: str, config: tuple[str, ...], flags: tuple[str, ...]) -> None:
    """Print every field of one letter."""
    with clear_errors():
        (letter,) = asyncio.run(_chosen(config, flags, (prompt_id,)))
    options = msgspec.json.encode(letter.options).decode()
    for name, value in (msgspec.to_builtins(letter) | {"options": options}).items():
        if name != "text":
            click.echo(f"{name.replace('_', ' '):<15} {_harmless(str(value))}")
    click.echo(f"\n{_harmless(letter.text)}")


@command.command(
    "replay", help="Try them with the agent's model, in a process apart; forget those it answers."
)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_agent
@click.option("--all", "everything", is_flag=True, help="Try all of them.")
@click.option("--timeout-s", default=60.0, show_default=True, help="Time for each, with loading.")
def replay(
    ids: tuple[str, ...],
    config: tuple[str, ...],
    flags: tuple[str, ...],
    everything: bool,
    timeout_s: float,
) -> None:
    """Exit with 1 when a letter was not answered."""
    with clear_errors():
        failed = asyncio.run(_replay(config, flags, ids, everything, timeout_s))
    sys.exit(1 if failed else 0)


@command.command("purge", help="Throw them away.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_agent
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--older-than", "days", type=click.FloatRange(min=0), help="In days: those only.")
def purge(
    ids: tuple[str, ...],
    config: tuple[str, ...],
    flags: tuple[str, ...],
    everything: bool,
    days: float | None,
) -> None:
    """Print how many there were."""
    with clear_errors():
        click.echo(f"{asyncio.run(_purge(config, flags, ids, everything, days))} purged")


class _Store(NamedTuple):
    """The file of one agent, and its settings."""

    settings: AnySettings
    journal: Journal
    letters: DeadLetters
    counts_attempts: bool

    async def choose(
        self, ids: Sequence[str], *, everything: bool = False, older_than: float | None = None
    ) -> list[DeadLetter]:
        """Return the letters that are meant. Raises ``SettingsError`` where that is not clear."""
        if bool(ids) == (everything or older_than is not None):
            raise SettingsError("say which: some by id, or all, or all older than some days")
        chosen = [await self._one(prefix) for prefix in ids] if ids else await self.letters.all()
        if older_than is None:
            return chosen
        limit = datetime.now(timezone.utc) - timedelta(days=older_than)
        return [each for each in chosen if datetime.fromisoformat(each.quarantined_at) < limit]

    async def purge(self, letters: Sequence[DeadLetter]) -> int:
        """Remove letters, and what an upper agent has counted against their prompts."""
        purged = await self.letters.purge(letters)
        if self.counts_attempts:
            await drop_attempts(self.journal, [(each.origin, each.id) for each in letters])
        return purged

    async def _one(self, prefix: str) -> DeadLetter:
        found = await self.letters.get(prefix.lower() if "/" not in prefix else prefix)
        agent = self.settings.agent
        if not found:
            raise SettingsError(f"{agent} has no dead letter {prefix!r}; list shows those it has")
        if len(found) > 1:
            names = ", ".join(f"{each.origin}/{each.id}" for each in found[:3])
            raise SettingsError(f"{len(found)} dead letters begin with {prefix!r}: {names}")
        return found[0]


@contextlib.asynccontextmanager
async def _opened(config: tuple[str, ...], flags: tuple[str, ...]) -> AsyncIterator[_Store]:
    settings = load(AnySettings, config, environment=os.environ, flags=flags)
    if not settings.state:
        raise SettingsError(
            f"{config[0]}: state names no folder, so {settings.agent} keeps no dead letters"
        )
    path, schema = Path(settings.state) / letters_file(settings.agent), TABLE
    if not path.exists():
        path, schema = path.with_name(results_file(settings.agent)), SCHEMA
    journal = await asyncio.to_thread(Journal.join, path, schema)
    try:
        yield _Store(settings, journal, DeadLetters(journal), schema == SCHEMA)
    finally:
        await journal.close()


async def _chosen(
    config: tuple[str, ...], flags: tuple[str, ...], ids: Sequence[str], *, everything: bool = False
) -> list[DeadLetter]:
    async with _opened(config, flags) as store:
        return await store.choose(ids, everything=everything)


async def _purge(
    config: tuple[str, ...],
    flags: tuple[str, ...],
    ids: Sequence[str],
    everything: bool,
    days: float | None,
) -> int:
    async with _opened(config, flags) as store:
        return await store.purge(await store.choose(ids, everything=everything, older_than=days))


async def _replay(
    config: tuple[str, ...],
    flags: tuple[str, ...],
    ids: Sequence[str],
    everything: bool,
    timeout_s: float,
) -> int:
    """Print what became of each letter, and return how many were not answered."""
    console, table, failed = Console(), Table("id", "origin", "outcome"), 0
    async with _opened(config, flags) as store:
        for letter in await store.choose(ids, everything=everything):
            short = str(letter.id)[:_ID]
            if not letter.attempts:
                failed += 1
                table.add_row(short, letter.origin, "not a prompt that could be read")
                continue
            with console.status(f"{short}: {len(letter.text.encode())} bytes"):
                became = await asyncio.to_thread(run_apart, store.settings.model, letter, timeout_s)
            if isinstance(became, SandboxAnswer):
                await store.purge([letter])
                elapsed_ms = became.elapsed_us / 1000
                said = (
                    f"[bold]{escape(became.line)}[/] {became.confidence:.4f}, {elapsed_ms:.1f} ms"
                )
            else:
                failed += 1
                said = f"[bold red]failed[/]: {escape(_harmless(became.reason))}"
            table.add_row(short, letter.origin, said)
    console.print(table if table.row_count else "no dead letters")
    return failed


def _harmless(text: str) -> str:
    """Return a text of a stranger with what could steer a terminal made visible."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
        for character in text
    )
