"""``python -m chaos.soak``: half an hour of everything at once, and who grows (``make soak``).

A real device, edge, cloud and broker bear, at a rate that all can carry, what a network may bring
them: see ``chaos.noise``; between it honest questions, all of which must be answered. What agents
remember is bounded by small settings, so that it is full long before the time that counts.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table

from chaos.accounts import open_accounts, tracebacks
from chaos.asker import CarefulAsker
from chaos.ledger import Ledger
from chaos.marks import replace
from chaos.memory import LEVEL_MB_MINUTE, Reading, grows_mb_minute, watch
from chaos.noise import KINDS, send_all
from chaos.plan import Plan
from chaos.site import ChaosSite
from shared.bus.mqtt.bus import MqttBus
from shared.cli import clear_errors
from shared.telemetry.log import LogSettings, configure

if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTIONS_S: Final = 5.0
_COUNTS: Final = 1 / 3
"""The share at the end that counts: what comes before is warming up."""
_TIMEOUT_S: Final = 20.0
_UPPER: Final[dict[str, Any]] = {
    "tier": {"policy": {"kind": "quantile", "beta": 0.3, "window_prompts": 1_000}},
    "limits": {"results_s": 60.0, "results_megabytes": 1},
}
_PLAN: Final = Plan(
    devices=1,
    edges=1,
    settings={"edge": _UPPER, "cloud": _UPPER, "device": {"tier": _UPPER["tier"]}},
)
_HEADS: Final = (
    "process",
    "MB at first",
    "MB when it counts",
    "MB at last",
    "MB a minute",
    "level",
)


class Grown(NamedTuple):
    """What became of one process."""

    name: str
    first_mb: float
    warm_mb: float
    last_mb: float
    mb_minute: float

    @property
    def level(self) -> bool:
        """Whether it has stopped growing."""
        return self.mb_minute < LEVEL_MB_MINUTE

    def cells(self) -> list[str]:
        """Return the row of the table."""
        sizes = (f"{size:.1f}" for size in (self.first_mb, self.warm_mb, self.last_mb))
        return [self.name, *sizes, f"{self.mb_minute:+.3f}", "yes" if self.level else "NO"]


class Soaked(NamedTuple):
    """The whole of one run."""

    minutes: float
    sent: int
    asked: int
    grown: list[Grown]
    broken: list[str]

    def says(self) -> str:
        """Return the run in a sentence."""
        kept = all(each.level for each in self.grown) and not self.broken
        verdict = "kept" if kept else f"{len(self.broken)} promises broken, or somebody grows"
        return (
            f"{self.minutes:g} minutes, {self.sent:,} messages to be borne and {self.asked:,} "
            f"questions; slopes of the last {self.minutes * _COUNTS:.3g} minutes: {verdict}."
        )


@click.command(help="Bear everything a network may bring, for long, and see who grows.")
@click.option("--minutes", default=30.0, show_default=True, help="How long; the last third counts.")
@click.option(
    "--out",
    default="runs/soak",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for configurations, states, logs and what every process held.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Page whose table is to be replaced by this run's.",
)
def main(minutes: float, out: Path, write: Path | None) -> None:
    """Run the soak; exit 1 when a process grows or a promise was broken."""
    configure(LogSettings(level="error"))
    console = Console()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with clear_errors():
        soaked = asyncio.run(_soak(out, minutes * 60))
    console.print(_table(soaked))
    for broken in soaked.broken[:5]:
        console.print(f"  {broken}", style="red", markup=False)
    if write is not None:
        replace(write, "soak", page(soaked))
    sys.exit(0 if soaked.says().endswith("kept.") else 1)


async def _soak(folder: Path, seconds: float) -> Soaked:
    ledger, site = Ledger(), ChaosSite(_PLAN, folder, 1)
    async with (
        site,
        CarefulAsker(site.mqtt(), ["device-1"], ledger, 1, trusts_receipts=False) as asker,
    ):
        bus = MqttBus(site.mqtt(), "chaos-noise")
        await bus.start()
        await bus.wait_connected(10)
        readings, sent, _ = await asyncio.gather(
            watch(site.process_ids(), seconds),
            send_all(bus, KINDS, seconds),
            asker.ask_for(seconds, QUESTIONS_S, timeout_s=_TIMEOUT_S),
        )
        await bus.close()
        await asker.until_answered(_TIMEOUT_S)
        broken = await open_accounts(site.metrics, 5.0)
    (folder / "memory.json").write_bytes(msgspec.json.encode(readings))
    broken += [*ledger.close(), *site.faults, *tracebacks(folder)]
    grown = [_grown(name, read, seconds * _COUNTS) for name, read in readings.items()]
    return Soaked(seconds / 60, sent, ledger.asked, grown, broken)


def _grown(name: str, readings: Sequence[Reading], last_s: float) -> Grown:
    warm = next(each for each in readings if each.at_s >= readings[-1].at_s - last_s)
    slope = grows_mb_minute(readings, last_s)
    return Grown(name, readings[0].megabytes, warm.megabytes, readings[-1].megabytes, slope)


def _table(soaked: Soaked) -> Table:
    made = Table(title=soaked.says(), title_justify="left")
    for head in _HEADS:
        made.add_column(head, justify="left" if head == "process" else "right")
    for each in soaked.grown:
        made.add_row(*each.cells(), style="" if each.level else "red")
    return made


def page(soaked: Soaked) -> str:
    """Return the table in Markdown, with what was sent."""
    rows = ["| " + " | ".join(_HEADS) + " |", "|---" + "|---:" * (len(_HEADS) - 1) + "|"]
    rows += ["| " + " | ".join(each.cells()) + " |" for each in soaked.grown]
    sent = [f"- {kind.says}: {kind.rate_s:g} a second" for kind in KINDS]
    asked = f"- honest questions, all of which were answered: {QUESTIONS_S:g} a second"
    return "\n".join([soaked.says(), "", *rows, "", *sent, asked])


if __name__ == "__main__":
    main()
