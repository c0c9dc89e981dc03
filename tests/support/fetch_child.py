"""Fetches one file into a store, in a process that a test kills: folder, URL, description."""

import asyncio
import sys
from pathlib import Path

import msgspec

from shared.nodes.fetch import BundleFetcher, Progress
from shared.nodes.sources import HttpSource
from shared.nodes.store import BundleStore
from shared.wire.manifest import ShippedBundle

if __name__ == "__main__":
    folder, url, description = sys.argv[1:]
    store = BundleStore(Path(folder))
    store.open()
    bundle = msgspec.json.decode(Path(description).read_bytes(), type=ShippedBundle)
    print("fetching", flush=True)  # noqa: T201 - for the test to read
    asyncio.run(BundleFetcher(store).fetch(bundle, [HttpSource(url)], Progress()))
    print("done", flush=True)  # noqa: T201
