"""``recserve models list``: the catalogue, and who serves what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recserve.center_client import center_options, connect
from shared.cli import clear_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_MB = 1_000_000


@click.command("list", help="List the bundles at the centre, and how far each agent is.")
@click.option("--json", "as_json", is_flag=True, help="Print the centre's answer as it came.")
@center_options
def command(center: str, token_file: str, as_json: bool) -> None:
    """Print two tables."""
    with clear_errors():
        found = connect(center, token_file).get("/api/models")
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    Console().print(_bundles(found) if found["bundles"] else "no bundles")
    if found["states"]:
        Console().print(_agents(found["states"]))


def _bundles(found: Mapping[str, Any]) -> Table:
    wanted = [wish["desired"].get("active", "") for wish in found["wishes"].values()]
    table = Table("bundle", "version", "digest")
    table.add_column("MB", justify="right")
    table.add_column("wanted of", justify="right")
    for bundle in found["bundles"]:
        size = sum(file["size_bytes"] for file in bundle["files"])
        table.add_row(
            escape(bundle["name"]),
            escape(bundle["version"]),
            bundle["digest"][:12],
            f"{size / _MB:.1f}",
            str(wanted.count(bundle["digest"])),
        )
    return table


def _agents(states: Mapping[str, Any]) -> Table:
    table = Table("agent", "phase", "serves", "wanted", "detail")
    for name, state in sorted(states.items()):
        done, total = state.get("bytes_done", 0), state.get("bytes_total", 0)
        phase = state.get("phase", "idle")
        if phase == "fetching" and total:
            phase = f"{phase} {done / total:.0%}"
        table.add_row(
            escape(name),
            phase,
            state.get("active", "")[:12] or "its own",
            state.get("wanted", "")[:12],
            escape(state.get("detail", "")),
        )
    return table
