"""``recserve``: one command for everything. Each subcommand is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from typing import Any, Final

import click

from shared.cli import can_be_written, give_up, open_handles

_COMMANDS: Final = {
    "ask": ("recserve.commands.ask", "Ask a running device and print its answer."),
    "broker": ("recserve.commands.broker", "Run an MQTT broker for this machine."),
    "center": ("cloud_agent.center.command", "Run the centre of a fleet, with its page."),
    "cloud": ("cloud_agent.command", "Run a cloud agent."),
    "compare": ("recserve.commands.compare", "Two runs of replay side by side."),
    "deadletters": (
        "recserve.commands.deadletters",
        "List, show, replay and purge prompts given up.",
    ),
    "demo": ("recserve.demo.command", "Run the whole cascade on the bundled prompts."),
    "demo-text": (
        "recserve.demo_text.command",
        "Translate captions through three tiers, then chat.",
    ),
    "device": ("device_agent.command", "Run a device agent."),
    "doctor": ("recserve.commands.doctor", "Check broker, bundles, engines and settings."),
    "edge": ("edge_agent.command", "Run an edge agent."),
    "experiment": ("recserve.commands.experiment", "Study a simulated workload."),
    "evaluate": ("recserve.commands.evaluate", "Compare policies on labelled sets."),
    "measure": (
        "recserve.commands.measure",
        "Measure what models and agents cost on this machine.",
    ),
    "memory": (
        "recserve.commands.memory",
        "See, search, forget, carry over and check what an edge remembers.",
    ),
    "night": ("recserve.commands.night", "Have an edge learn now what the cloud taught it."),
    "nodes": ("recserve.commands.nodes", "Show every agent of the fleet."),
    "models": (
        "recserve.commands.models",
        "The bundles of a fleet: what they cost, where they are.",
    ),
    "pack": ("recserve.commands.pack", "Turn a Hugging Face model into a bundle."),
    "plan": (
        "recserve.commands.plan",
        "Simulate an installation, or find how many agents it needs.",
    ),
    "provision": (
        "recserve.commands.provision",
        "Make a site's certificates, passwords and rights.",
    ),
    "reload": ("recserve.commands.reload", "Exchange a running agent's model."),
    "replay": ("recserve.commands.replay", "Play a trace to devices and report."),
    "simulate": ("recserve.commands.simulate", "Simulate what cannot be tried out."),
    "rollout": ("recserve.commands.rollout", "See or abort the rollout of a bundle."),
    "up": ("recserve.commands.up", "Run a broker and any number of agents on this machine."),
}


class _LazyGroup(click.Group):
    """Lists every subcommand without importing any: an engine takes seconds to load on a Pi."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; a standard output on a full disk is one sentence, whichever command prints."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if sys.stdout is None or can_be_written(sys.stdout):
                raise
            give_up(sys.stdout)
            click.echo(f"Error: standard output cannot be written ({error.strerror})", err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand that was asked for."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command: click.Command = importlib.import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the summaries above."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in sorted(_COMMANDS)])


@click.command(
    cls=_LazyGroup,
    name="recserve",
    help="Device, edge and cloud serving of language-model prompts over MQTT.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("recserve"), prog_name="recserve")
def main() -> None:
    """Run the subcommand."""
    open_handles()
