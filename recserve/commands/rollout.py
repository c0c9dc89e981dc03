"""``recserve rollout``: begin one, of a bundle or of settings; see how it goes; end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from cloud_agent.center.rollouts.rules import RolloutRules
from recserve.center_client import center_options, connect
from shared.cli import clear_errors
from shared.errors import SettingsError
from shared.settings.file import put_over

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group("rollout", help="Give agents a bundle or settings, a few of them first.")
def command() -> None:
    """Hold the subcommands."""


@command.command("start", help="Give a bundle or settings to a few agents first.")
@click.option("--to", "to", required=True, metavar="PATTERN", help="Agents: 'edge-*', say.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting to put over the agents' own, e.g. tier.policy.beta=0.4; may be repeated. Those "
    "that are not named are the agents' own.",
)
@click.option("--own", is_flag=True, help="Go back to the agents' own settings.")
@click.option("--bundle", default="", help="Name or digest of a bundle at the centre.")
@click.option(
    "--canary",
    type=click.FloatRange(0, 1, min_open=True),
    default=RolloutRules().canary,
    show_default=True,
    help="Share of them to get it first.",
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="NAME=VALUE",
    help="Changes a rule by which it goes on or back (docs/center.md): watch_s=600, say.",
)
@center_options
def start(
    to: str,
    settings: tuple[str, ...],
    own: bool,
    bundle: str,
    canary: float,
    rules: tuple[str, ...],
    center: str,
    token_file: str,
) -> None:
    """Print who gets it first."""
    with clear_errors():
        if sum(map(bool, (settings, own, bundle))) != 1:
            raise SettingsError("give one of --set, --own and --bundle")
        held_to = put_over(RolloutRules, {"canary": canary}, _pairs(rules, "--rule"), "--rule")
        order: dict[str, Any] = {"to": to, "rules": msgspec.to_builtins(held_to)}
        order |= {"bundle": bundle} if bundle else {"settings": _pairs(settings, "--set")}
        rollout = connect(center, token_file).post("/api/rollout", order)["rollout"]
    _show(rollout, rollout["reason"])


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


def _pairs(texts: Sequence[str], flag: str) -> dict[str, str]:
    """Read texts of the form KEY=VALUE. Raises ``SettingsError``."""
    pairs = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise SettingsError(f"{flag} {text!r} is not of the form KEY=VALUE")
        pairs[key.strip()] = value.strip()
    return pairs


def _show(rollout: dict[str, Any], says: str) -> None:
    agents, canaries = rollout["agents"], rollout["canaries"]
    click.echo(f"{rollout['name']} {rollout['digest'][:12]}".rstrip() + f": {rollout['phase']}")
    click.echo(f"canaries: {', '.join(canaries)} ({len(canaries)} of {len(agents)} agents)")
    click.echo(says)
