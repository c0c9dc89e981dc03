"""``recserve models pull``: a bundle from the centre into a folder, checked against its key."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import click
import msgspec

from recserve.center_client import center_options, connect
from shared.cli import clear_errors
from shared.errors import BundleError
from shared.nodes.fetch import BundleFetcher, Progress
from shared.nodes.sources import HttpSource
from shared.nodes.store import BundleStore
from shared.runtimes.bundle import Bundle
from shared.wire.manifest import ShippedBundle


@click.command("pull", help="Bring a bundle from the centre into a folder that is not there yet.")
@click.argument("bundle")
@click.argument("folder", type=click.Path(path_type=Path))
@center_options
def command(bundle: str, folder: Path, center: str, token_file: str) -> None:
    """BUNDLE is a name, a digest or its beginning."""
    with clear_errors():
        if folder.exists():
            raise BundleError(f"{folder} is there already; name a new folder")
        found = connect(center, token_file).get("/api/models")["bundles"]
        chosen = [b for b in found if b["name"] == bundle or b["digest"].startswith(bundle)]
        if not chosen:
            raise BundleError(f"the centre has no {bundle!r}; see recserve models list")
        described = msgspec.convert(chosen[0], ShippedBundle)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder.parent) as work:
            store = BundleStore(Path(work))
            store.open()
            source = HttpSource(center)
            asyncio.run(BundleFetcher(store).fetch(described, [source], Progress()))
            source.close()
            shutil.copytree(store.assemble(described), folder)
            store.close()
        opened = Bundle.open(folder)
    click.echo(f"{folder}: {opened.manifest.name} {opened.manifest.version} {opened.digest[:12]}")
