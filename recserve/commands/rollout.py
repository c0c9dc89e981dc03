"""``recserve rollout``: how the rollout of a bundle goes, and an end to it."""

from __future__ import annotations

from typing import Any

import click

from recserve.center_client import center_options, connect
from shared.cli import clear_errors


@click.group("rollout", help="See or abort the rollout of a bundle.")
def command() -> None:
    """Hold the subcommands."""


@command.command("status", help="Say how the last rollout goes, or ended.")
@center_options
def status(center: str, token_file: str) -> None:
    """Print a few lines."""
    with clear_errors():
        told = connect(center, token_file).get("/api/rollout")
    if told["rollout"] is None:
        click.echo("no rollout")
        return
    _show(told["rollout"], told["says"])


@command.command("abort", help="Take the canaries back to what they served before.")
@center_options
def abort(center: str, token_file: str) -> None:
    """Print what became of it."""
    with clear_errors():
        rollout = connect(center, token_file).post("/api/rollout/abort", {})["rollout"]
    _show(rollout, rollout["reason"])


def _show(rollout: dict[str, Any], says: str) -> None:
    agents, canaries = rollout["agents"], rollout["canaries"]
    click.echo(f"{rollout['name']} {rollout['digest'][:12]}: {rollout['phase']}")
    click.echo(f"canaries: {', '.join(canaries)} ({len(canaries)} of {len(agents)} agents)")
    click.echo(says)
