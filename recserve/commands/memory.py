"""``recserve memory``: what an edge remembers, for people to see, forget, carry over and check."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge_agent.memory.requests import (
    PAGE,
    CheckMemory,
    ForgetEntries,
    SearchMemory,
    ShowMemory,
)
from recserve.commands.memory_report import report
from recserve.memory_client import Place, ask_memory, begin_epoch, place_options
from recserve.memory_entries import export_entries, import_entries, read_entries
from shared.cli import clear_errors
from shared.errors import MemoryRefused, RecServeError, SettingsError
from shared.storage.files import write_atomically
from shared.telemetry import log


@click.group("memory", help="See, search, forget, carry over and check what an edge remembers.")
def command() -> None:
    """WHERE is the name of a running edge, or the state folder of one (or its memory.db)."""
    log.silence()


command.add_command(report)


@command.command("show", help="How much an edge remembers, from whom, and how well that does.")
@click.argument("where")
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(where: str, as_json: bool, **place: Any) -> None:
    """Print the counts."""
    with clear_errors():
        answer = ask_memory(where, ShowMemory(), Place(**place))
    _print(answer, as_json)


@command.command("search", help="Entries with these words, then those that are like them.")
@click.argument("where")
@click.argument("text")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, PAGE))
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def search(where: str, text: str, most: int, as_json: bool, **place: Any) -> None:
    """Print the entries as a table."""
    with clear_errors():
        found = ask_memory(where, SearchMemory(text, most), Place(**place))["entries"]
    if as_json:
        for entry in found:
            click.echo(msgspec.json.encode(entry))
        return
    table = Table("id", "question", "answer", "from", "since", "state")
    for entry in found:
        by = f"{entry['model']} {entry['version'][:12]}".strip()
        row = (str(entry["id"]), entry["wordings"][0], entry["answer"], by)
        table.add_row(*map(escape, row), _date(entry["created_s"]), entry["state"])
    Console().print(table if found else "nothing is remembered of it")


@command.command(
    "forget",
    help="Forget entries, what the edge's model learned of them, and their place in the next "
    "night's training: those for which all holds that is given.",
)
@click.argument("wheres", metavar="WHERE...", nargs=-1)
@click.option("--entry", "entries", type=int, multiple=True, help="Number of an entry.")
@click.option("--containing", default="", help="Words in the question or the answer.")
@click.option(
    "--before", default="", help="What was answered before: a date, or ISO date and time."
)
@click.option("--version", default="", help="What this model, or this version of one, answered.")
@click.option("--owner", default="", help="What is remembered for this device alone.")
@click.option(
    "--everywhere", is_flag=True, help="In every memory on the broker, instead of WHERE: an epoch."
)
@place_options
def forget(
    wheres: tuple[str, ...],
    entries: tuple[int, ...],
    containing: str,
    before: str,
    version: str,
    owner: str,
    everywhere: bool,
    **place: Any,
) -> None:
    """Print how many were forgotten; one edge that cannot be asked does not keep the others."""
    with clear_errors():
        before_s = _moment(before) if before else None
        if everywhere:
            if wheres or before_s is None or entries or containing or version or owner:
                raise SettingsError("--everywhere takes --before alone, and no WHERE")
            begin_epoch(before_s, Place(**place))
            click.echo(f"no memory answers with what is from before {_date(before_s)}")
            return
        if not wheres:
            raise SettingsError("name the edge or its folder, or say --everywhere")
        if entries and len(wheres) > 1:
            raise SettingsError("--entry takes one WHERE: every edge has numbers of its own")
        wanted = ForgetEntries(entries, containing, before_s, version, owner)
        _forget(wheres, wanted, Place(**place))


@command.command("export", help="Write what is remembered into a file, one JSON object a line.")
@click.argument("where")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@place_options
def export(where: str, file: Path, **place: Any) -> None:
    """Write the entries, those that the edge's model has learned among them; no vectors."""
    with clear_errors():
        rows = asyncio.run(export_entries(where, Place(**place)))
        try:
            write_atomically(file, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        except OSError as error:
            raise SettingsError(f"{file}: cannot be written ({error.strerror})") from error
    click.echo(f"{file}: {len(rows)} entries")


@command.command("import", help="Take in what another memory has exported.")
@click.argument("where")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@place_options
def import_(where: str, file: Path, **place: Any) -> None:
    """Print what became of the entries; what is personal or too old is refused."""
    with clear_errors():
        outcomes = asyncio.run(import_entries(where, read_entries(file), Place(**place)))
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    click.echo(said or "nothing was in the file")


@command.command("check", help="Whether what is on the disk holds together; exit status 1 if not.")
@click.argument("where")
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(where: str, as_json: bool, **place: Any) -> None:
    """Print what is wrong, and the counts."""
    with clear_errors():
        answer = ask_memory(where, CheckMemory(), Place(**place))
    faults = answer["faults"]
    _print(answer, as_json)
    sys.exit(1 if faults else 0)


def _forget(wheres: tuple[str, ...], wanted: ForgetEntries, place: Place) -> None:
    """Have each memory forget. Raises ``MemoryRefused``, at the end, for those that did not."""
    faults, named = [], len(wheres) > 1
    for where in wheres:
        try:
            forgotten = ask_memory(where, wanted, place)["forgotten"]
            click.echo(f"{where}: forgotten: {forgotten}" if named else f"forgotten: {forgotten}")
        except RecServeError as error:  # noqa: PERF203 - each is asked, whatever another says
            if not named:
                raise
            faults.append(str(error))
    if faults:
        raise MemoryRefused("not forgotten everywhere: " + "; ".join(faults))


def _moment(text: str) -> float:
    """Return a moment in seconds since 1970. Raises ``SettingsError``."""
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise SettingsError(
            f"--before {text!r} is no date like 2026-11-27, nor with a time"
        ) from None
    if moment.timestamp() > time.time():
        raise MemoryRefused(f"--before {text}: that moment is still to come")
    return moment.timestamp()


def _date(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, timezone.utc):%Y-%m-%d %H:%M} UTC"


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(answer))
        return
    table = Table(show_header=False)
    for fault in answer.get("faults", ()):
        table.add_row("[red]fault[/]", escape(fault))
    states = ", ".join(f"{count} {state}" for state, count in sorted(answer["states"].items()))
    table.add_row("entries", f"{answer['entries']} ({states})" if states else "0")
    table.add_row("learned by the edge's model", f"{answer['ghosts']}")
    for version in answer["versions"]:
        by = f"{version['model']} {version['version'][:12]}".strip() or "nobody known"
        table.add_row("from", escape(f"{by}: {version['entries']}"))
    if answer["not_before_s"]:
        table.add_row("nothing from before", _date(answer["not_before_s"]))
    checks, wrong = answer["checks"], answer["wrong"]
    count = checks["right"] + checks["wrong"]
    table.add_row("checked", f"{count}, of which {checks['wrong']} were wrong")
    table.add_row("wrong, 95 %", f"{wrong['low']:.2%} to {wrong['high']:.2%}")
    Console().print(table)
