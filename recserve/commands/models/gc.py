"""``recserve models gc``: drop bundles that nobody serves or might go back to."""

from __future__ import annotations

import click

from recserve.center_client import center_options, connect
from shared.cli import clear_errors


@click.command("gc", help="Drop bundles that nobody is to serve or go back to, here and there.")
@center_options
def command(center: str, token_file: str) -> None:
    """Print what was dropped."""
    with clear_errors():
        dropped = connect(center, token_file).post("/api/collect", {})["dropped"]
    for name, digests in sorted(dropped.items()):
        short = ", ".join(digest[:12] for digest in digests)
        click.echo(f"{name or 'the centre'} drops {short}")
    if not dropped:
        click.echo("nothing to drop")
