"""A bundle on its way to a node: what kills cost on the wire, and what it costs prompts.

``python -m experiments.testbed.shipping`` (``make shipping``). Broker, centre and nodes
are processes of their own. A bundle goes to a node over a wire that counts, while the node is
killed again and again at random bytes and the broker once; to a node directly, while a device asks
it one prompt after another; and to three nodes at once, while all that the centre sends is counted.
The status is 1 where one of the bounds is missed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from device_agent.settings import DeviceSettings
from experiments.datasets.bundled import read_prompts
from experiments.testbed.counted_wire import CountedWire
from experiments.testbed.fleet import Fleet
from experiments.testbed.processes import ProcessFailed
from experiments.testbed.shipping_site import CONFIGS, NODE, THREE, ShippedSite, make_bundle
from shared.cli import clear_errors
from shared.messages import Failure
from shared.nodes.machine import this_machine
from shared.settings.file import load
from shared.telemetry import log

if TYPE_CHECKING:
    from device_agent import Device

_WIDTH: Final = 100
_LIMIT_S: Final = 300.0
_LAST_KILL: Final = 0.95
"""The share of the bundle that is there at the latest kill, at most."""


class ShippingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    size_bytes: int
    """Of the files that the node did not have, and so had to fetch."""
    sent_bytes: int
    """All that came to the node over the counted wire, whatever it was for."""
    origin_bytes: int
    """All that the centre sent while three nodes fetched it at once."""
    kills: int
    idle_ms: tuple[float, ...]
    busy_ms: tuple[float, ...]

    @property
    def wire(self) -> float:
        """Bytes on the wire for each byte of the bundle."""
        return self.sent_bytes / self.size_bytes

    @property
    def origin(self) -> float:
        """Bytes that the centre sent for each byte of a bundle that came to three nodes."""
        return self.origin_bytes / self.size_bytes

    @property
    def delay(self) -> float:
        """The p95 of round trips during the transfer, over that of an idle node."""
        return p95(self.busy_ms) / p95(self.idle_ms)


def p95(times_ms: tuple[float, ...]) -> float:
    """Return the 95th percentile of what may be a single time."""
    if len(times_ms) == 1:
        return times_ms[0]
    return statistics.quantiles(times_ms, n=20, method="inclusive")[-1]


@click.command(help="Ship a bundle to a node that is killed, and to one that is asked.")
@click.option("--mib", type=click.IntRange(min=2), default=256, show_default=True)
@click.option("--kills", type=click.IntRange(min=0), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True,
              help="How long the idle node is asked.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Draws the bytes of the kills.")
@click.option("--most-wire", default=1.05, show_default=True,
              help="Bytes on the wire for each of the bundle, at most.")  # fmt: skip
@click.option("--most-delay", default=2.0, show_default=True,
              help="p95 of a round trip meanwhile over the idle one, at most.")  # fmt: skip
@click.option("--most-origin", default=1.3, show_default=True,
              help="Bytes that the centre sends for each to three nodes, at most.")  # fmt: skip
@click.option("--share-from", type=click.IntRange(min=0), default=2, show_default=True,
              help="The centre's share_from; 0: every node fetches for itself.")  # fmt: skip
def command(
    mib: int, kills: int, seconds: float, seed: int,
    most_wire: float, most_delay: float, most_origin: float, share_from: int,
) -> None:  # fmt: skip
    """Print a table."""
    log.silence()
    with clear_errors():
        found = asyncio.run(_measure(mib << 20, kills, seconds, seed, share_from))
    sys.exit(show(found, most_wire, most_delay, most_origin))


def show(found: ShippingFigures, most_wire: float, most_delay: float, most_origin: float) -> int:
    """Print the table; return the status: 1 where a bound is missed."""
    kept = (found.wire <= most_wire, found.delay <= most_delay, found.origin <= most_origin)
    machine = this_machine()
    table = Table(title=f"{machine.processor}, {machine.cores} cores", width=_WIDTH)
    for column in ("", "measured", "at most", "kept"):
        table.add_column(column)
    table.add_row(
        f"{found.size_bytes / (1 << 20):.1f} MiB to a node killed {found.kills} ×, "
        "the broker once: bytes on the wire",
        f"{found.wire:.3f} × its size",
        f"{most_wire:g} ×",
        "yes" if kept[0] else "NO",
    )
    table.add_row(
        f"p95 of a round trip, idle ({len(found.idle_ms)} prompts) "
        f"and during such a transfer ({len(found.busy_ms)})",
        f"{p95(found.idle_ms):.1f} ms, {p95(found.busy_ms):.1f} ms: {found.delay:.2f} ×",
        f"{most_delay:g} ×",
        "yes" if kept[1] else "NO",
    )
    table.add_row(
        f"the same to {len(THREE)} nodes at once: bytes sent by the centre",
        f"{found.origin:.3f} × its size",
        f"{most_origin:g} ×",
        "yes" if kept[2] else "NO",
    )
    Console(width=_WIDTH).print(table)
    return 0 if all(kept) else 1


async def _measure(
    size_bytes: int, kills: int, seconds: float, seed: int, share_from: int
) -> ShippingFigures:
    with tempfile.TemporaryDirectory() as folder:
        fetched, sent = await _killed(Path(folder), size_bytes, kills, seed)
    with tempfile.TemporaryDirectory() as folder:
        idle_ms, busy_ms = await _asked(Path(folder), size_bytes, seconds, seed)
    with tempfile.TemporaryDirectory() as folder:
        origin = await _to_three(Path(folder), size_bytes, seed, share_from)
    return ShippingFigures(
        size_bytes=fetched, sent_bytes=sent, origin_bytes=origin,
        kills=kills, idle_ms=idle_ms, busy_ms=busy_ms,
    )  # fmt: skip


async def _killed(folder: Path, size_bytes: int, kills: int, seed: int) -> tuple[int, int]:
    """Return the size of a bundle, and the bytes that it took while processes were killed."""
    draw = Random(seed)  # noqa: S311 - of kills
    shares = [_LAST_KILL * (number + draw.random()) / kills for number in range(kills)]
    bundle = make_bundle(folder / "made", size_bytes, seed)
    async with CountedWire.open() as wire, ShippedSite.open(folder, wire) as site:
        await site.push(bundle)
        _tell(f"{size_bytes >> 20} MiB are at the centre, and wanted of {NODE}")
        before = wire.sent_bytes

        async def kill(name: str, shares: list[float]) -> None:
            for share in shares:
                mark = wire.at(before + int(share * size_bytes), partial(site.kill, name))
                at = await asyncio.wait_for(mark, _LIMIT_S)
                _tell(f"{name} killed when {(at - before) / size_bytes:.0%} were on the wire")
                await site.start_again(name)

        await site.want(bundle)
        await asyncio.gather(kill(NODE, shares), kill("broker", [_LAST_KILL * draw.random()]))
        await site.comes(bundle, "active")
        sent = wire.sent_bytes - before
        site.check_held(bundle)
        _tell(f"whole: every file of {bundle.digest[:12]} has its SHA-256")
    return sum(file.stat().st_size for file in bundle.folder.iterdir()), sent


async def _asked(
    folder: Path, size_bytes: int, seconds: float, seed: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return round trips of prompts: to a node that does nothing else, and to one that fetches."""
    bundle = make_bundle(folder / "made", size_bytes, seed)
    async with ShippedSite.open(folder) as site:
        await site.push(bundle)
        flags = [f"mqtt.port={site.up.broker.port}", 'tier.policy={"kind": "pass"}']
        settings = load(DeviceSettings, CONFIGS / "device.yaml", flags=flags)
        async with Fleet.open(settings, ["device-1"]) as fleet:
            device = fleet.devices["device-1"]
            await _asked_while(device, asyncio.create_task(asyncio.sleep(min(seconds, 2.0))))
            _tell(f"asking {NODE}, which does nothing else")
            idle_ms = await _asked_while(device, asyncio.create_task(asyncio.sleep(seconds)))
            _tell(f"asking {NODE} while {size_bytes >> 20} MiB come")
            await site.want(bundle)
            fetched = site.comes(bundle, "verified", "loading", "active")
            busy_ms = await _asked_while(device, asyncio.create_task(fetched))
            await site.comes(bundle, "active")
            site.check_held(bundle)
    return idle_ms, busy_ms


async def _to_three(folder: Path, size_bytes: int, seed: int, share_from: int) -> int:
    """Return what the centre sent while three nodes fetched a bundle at once."""
    bundle = make_bundle(folder / "made", size_bytes, seed)
    async with (
        CountedWire.open() as origin,
        ShippedSite.open(folder, names=THREE, origin=origin, share_from=share_from) as site,
    ):
        await site.push(bundle)
        before, began_s = origin.sent_bytes, time.monotonic()
        await site.want(bundle, of="edge-*")
        await site.comes(bundle, "active")
        sent = origin.sent_bytes - before
        site.check_held(bundle)
        _tell(f"whole at {', '.join(THREE)} after {time.monotonic() - began_s:.1f} s")
    return sent


async def _asked_while(device: Device, going: asyncio.Task[None]) -> tuple[float, ...]:
    """Ask one prompt after another until something is over; return the round trips in ms."""
    texts = [prompt.text for prompt in read_prompts()]
    took_ms: list[float] = []
    try:
        while not took_ms or not going.done():
            began_s = time.monotonic()
            result = await device.ask(texts[len(took_ms) % len(texts)], timeout_s=60.0)
            took_ms.append(1000 * (time.monotonic() - began_s))
            if isinstance(result.outcome, Failure) or result.hops[-1].agent != NODE:
                raise ProcessFailed(f"{NODE} did not answer a prompt: {result.outcome}")
    finally:
        going.cancel()
    await asyncio.gather(going)
    return tuple(took_ms)


def _tell(words: str) -> None:
    click.echo(words, err=True)


if __name__ == "__main__":
    command()
