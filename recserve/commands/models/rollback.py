"""``recserve models rollback``: have agents go back to the bundle that they served before."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from recserve.center_client import center_options, connect
from recserve.commands.models.push import publish, read_signer
from shared.cli import clear_errors
from shared.errors import SettingsError
from shared.wire.manifest import ShippedBundle

if TYPE_CHECKING:
    from recserve.center_client import CenterClient


@click.command("rollback", help="Have agents go back to the bundle that they served before.")
@click.option("--to", "to", required=True, metavar="PATTERN", help="The agents: 'edge-*', say.")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Sign what they go back to anew; needed to go back by more than one step.",
)
@center_options
def command(to: str, key: Path | None, center: str, token_file: str) -> None:
    """Print who goes back to what."""
    with clear_errors():
        client = connect(center, token_file)
        if key is not None:
            _sign_anew(client, key, to)
        told = client.post("/api/rollback", {"to": to, "reason": "rolled back by hand"})
        if not told["back"]:
            raise SettingsError(f"no agent that {to!r} names served another bundle before")
    for name, digest in told["back"].items():
        click.echo(f"{name} goes back to {digest[:12] or 'what its settings name'}")


def _sign_anew(client: CenterClient, key: Path, to: str) -> None:
    found = client.get("/api/models")
    signer = read_signer(key)
    wanted = {
        wish["before"][-1]: wish["desired"].get("active", "")
        for name, wish in found["wishes"].items()
        if fnmatchcase(name, to) and wish.get("before")
    }
    for plain in found["bundles"]:
        if plain["digest"] in wanted:
            bundle = msgspec.convert(plain, ShippedBundle)
            serial = int(time.time() * 1000)
            bundle = msgspec.structs.replace(bundle, serial=serial, base=wanted[bundle.digest])
            publish(client, bundle, signer, None)
