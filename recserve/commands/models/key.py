"""``recserve models key``: the key by which agents know bundles of their site."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import clear_errors
from shared.errors import SettingsError
from shared.nodes.signing import ManifestSigner, new_key
from shared.storage.files import write_atomically


@click.command("key", help="Make the key that signs a site's bundles, and its public half.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Write FILE and, beside it, models.pub; a key that is there is never replaced."""
    with clear_errors():
        public = file.with_name("models.pub")
        if file.exists() or public.exists():
            there = file if file.exists() else public
            raise SettingsError(f"{there} is there already; agents would take no other key's word")
        pem = new_key()
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(file, pem, mode=0o600)
            write_atomically(public, ManifestSigner(pem).public)
        except OSError as error:
            raise SettingsError(f"{file}: cannot be written ({error.strerror})") from error
    click.echo(f"signs bundles: {file}; keep it where no network reaches")
    click.echo(f"for agents (node.authority) and the centre (authority): {public}")
