"""``recserve models``: the bundles of a fleet. One file beside this one for each subcommand."""

from __future__ import annotations

import importlib
import pkgutil

import click


class _Folder(click.Group):
    """Lists the files of this folder; one is imported when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        del ctx
        return sorted(module.name for module in pkgutil.iter_modules(__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand that was asked for."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        command: click.Command = module.command
        return command


command = _Folder("models", help="The bundles of a fleet: what they cost, and where they are.")
