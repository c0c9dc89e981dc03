"""``recserve models push``: sign a bundle, bring it to the centre, and have agents serve it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.progress import Progress

from recserve.center_client import center_options, connect
from shared.cli import clear_errors
from shared.errors import SettingsError
from shared.nodes.publish import describe, sign
from shared.nodes.signing import ManifestSigner

if TYPE_CHECKING:
    from recserve.center_client import CenterClient
    from shared.wire.manifest import ShippedBundle


@click.command("push", help="Sign a bundle, bring it to the centre, and have agents serve it.")
@click.argument("bundle", type=click.Path(file_okay=False, path_type=Path))
@click.option("--to", "to", metavar="PATTERN", help="Agents to serve it: 'edge-*', say.")
@click.option(
    "--canary",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of them to get it first; the others follow if nothing gets worse.",
)
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The key that signs the site's bundles, of recserve models key.",
)
@click.option("--site", default="recserve", show_default=True, help="The site it is for.")
@click.option("--base", default="", help="Digest of the bundle that agents may fall back to.")
@center_options
def command(
    bundle: Path,
    to: str | None,
    canary: float | None,
    key: Path,
    site: str,
    base: str,
    center: str,
    token_file: str,
) -> None:
    """Print what became of it."""
    with clear_errors():
        client = connect(center, token_file)
        signer = read_signer(key)
        known = client.get("/api/models")["bundles"]
        described = describe(bundle, site=site)
        earlier = [one["digest"] for one in known if one["name"] == described.name]
        base = base or next((one for one in earlier if one != described.digest), "")
        described = msgspec.structs.replace(described, base=base)
        publish(client, described, signer, bundle)
        click.echo(f"{described.name} {described.version} {described.digest[:12]} is at the centre")
        if to is not None:
            click.echo(_order(client, described, to, canary))


def read_signer(key: Path) -> ManifestSigner:
    """Read the key that signs. Raises ``SettingsError``."""
    try:
        return ManifestSigner(key.read_bytes(), str(key))
    except OSError as error:
        raise SettingsError(f"{key}: cannot be read ({error.strerror})") from error


def publish(
    client: CenterClient, described: ShippedBundle, signer: ManifestSigner, folder: Path | None
) -> None:
    """Upload what the centre lacks, and have it take the bundle."""
    manifest = sign(described, signer)
    lacking = client.post("/api/manifests", manifest).get("lacking", ())
    if lacking and folder is not None:
        files = [file for file in described.files if file.sha256 in lacking]
        with Progress(transient=True) as progress:
            task = progress.add_task("uploading", total=sum(file.size_bytes for file in files))
            for file in files:
                client.put_file(f"/blobs/{file.sha256}", folder / file.name)
                progress.advance(task, file.size_bytes)
        client.post("/api/manifests", manifest)


def _order(client: CenterClient, bundle: ShippedBundle, to: str, canary: float | None) -> str:
    if canary is not None:
        order = {"to": to, "bundle": bundle.digest, "rules": {"canary": canary}}
        rollout = client.post("/api/rollout", order)["rollout"]
        names = ", ".join(rollout["canaries"])
        return f"first: {names}; recserve rollout status tells how it goes"
    told = client.post("/api/assign", {"to": to, "bundle": bundle.digest, "reason": "pushed"})
    if not told["agents"]:
        raise SettingsError(f"no agent is called {to!r}; see recserve nodes")
    return f"wanted of {len(told['agents'])} agents, {len(told['changed'])} of them anew"
