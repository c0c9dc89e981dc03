"""``recserve experiment``: studies that need no installation of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from experiments.hotspot.absent import half_absent
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.study import HotspotReport, make_workload, run, systems, write_report
from models.pack.embedding import pack_embedder
from shared.cli import clear_errors
from shared.errors import RuntimeUnavailable
from shared.runtimes.embedder_bundle import EmbedderBundle
from shared.runtimes.onnx_embedder import OnnxEmbedder

if TYPE_CHECKING:
    from typing import Any


@click.group("experiment", help="Studies on simulated workloads.")
def command() -> None:
    """Hold the subcommands."""


@command.command(
    "hotspot",
    help="Days of questions of which a few are asked often: what a memory at the edge saves, "
    "beside what is published, on the same vectors, recorded cloud and room.",
)
@click.option(
    "--embedder",
    default="runs/embedders/minilm",
    show_default=True,
    help="Bundle that embeds; packed from MiniLM if it is not there.",
)
@click.option(
    "--out",
    default="runs/hotspot",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the report, the pictures, the recorded cloud and the vectors.",
)
@click.option(
    "--popqa",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines of PopQA (plain or .gz) in place of generated facts.",
)
@click.option("--system", "only", multiple=True, help="Only this system; may be repeated.")
@click.option("--facts", type=int, default=4_000, show_default=True, help="Facts to ask for.")
@click.option("--days", type=int, default=10, show_default=True, help="Days.")
@click.option("--questions-a-day", type=int, default=1_000, show_default=True, help="Questions.")
@click.option("--warm-up", type=int, default=2_000, show_default=True, help="Questions before.")
@click.option("--capacity", type=int, default=300, show_default=True, help="Entries kept, at most.")
@click.option(
    "--zipf", type=float, default=1.0, show_default=True, help="How hot the hot ones are."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn.")
@click.option(
    "--cloud",
    "cloud_mode",
    type=click.Choice(["record", "replay", "replay-strict"]),
    default="record",
    show_default=True,
    help="Keep answers, only use them, or refuse what was not kept.",
)
@click.option("--cloud-wrong", type=float, default=0.07, show_default=True, help="Wrong answers.")
@click.option(
    "--outage",
    "cloud_outage",
    type=(int, int, int),
    multiple=True,
    metavar="DAY FIRST LAST",
    help="Questions of a day during which the cloud cannot be reached; may be repeated.",
)
def hotspot(
    embedder: str, out: Path, popqa: Path | None, only: tuple[str, ...], **chosen: Any
) -> None:
    """Run every system, print the table, write report and pictures."""
    console = Console()
    with clear_errors():
        settings = HotspotSettings(**chosen)
        loaded = OnnxEmbedder(_packed(Path(embedder), console))
        with _bars(console) as bars:
            said = _Bars(bars)
            work = make_workload(settings, loaded, out, said, popqa)
            record = out / f"cloud-{settings.seed}.jsonl"
            made = systems(work, settings, record, only)
            done = {name: run(work, settings, name, build, said) for name, build in made.items()}
        questions = settings.days * settings.questions_a_day
        report = HotspotReport(
            settings=settings,
            questions=questions,
            embedder=loaded.digest,
            systems=done,
            half_absent=half_absent(work.facts, loaded),
        )
        path = write_report(report, out)
        pictures = _draw(report, out, console)
    print_report(report, console)
    console.print(f"The same as JSON: {path}; {pictures} pictures beside it")


def print_report(report: HotspotReport, console: Console) -> None:
    """Print the table of all systems."""
    table = Table(
        "system", "right", "cloud calls", "day 1", "last day", "wrongly reused", "edge tokens",
        "entries",
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    for name, system in report.systems.items():
        table.add_row(
            name,
            f"{system.accuracy:.1%}",
            f"{system.cloud_calls:,}",
            f"{system.cloud_calls_by_day[0]:,}",
            f"{system.cloud_calls_by_day[-1]:,}",
            f"{system.false_reuse:.2%}",
            f"{system.edge_tokens_per_question:.1f}",
            f"{system.index_entries:,}",
        )
    console.print(table)
    absent = Table("half of what is asked is not there", "wrongly reused", "found")
    for name, found in report.half_absent.items():
        absent.add_row(name, f"{found.false_reuse:.2%}", f"{found.recall:.1%}")
    console.print(absent)


class _Bars:
    """Shows how far each step is."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _packed(folder: Path, console: Console) -> str:
    """Return the folder of the embedder, packed from MiniLM if it is not there."""
    if not folder.exists():
        console.print(f"packing MiniLM into {folder} ...")
        return str(pack_embedder("minilm", folder, name="minilm", licence="Apache-2.0").folder)
    return str(EmbedderBundle.open(folder).folder)


def _draw(report: HotspotReport, out: Path, console: Console) -> int:
    """Draw the pictures where matplotlib is, and return how many."""
    try:
        from experiments.hotspot.plots import draw  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        missing = RuntimeUnavailable(f'{error.name} is missing: pip install -e ".[report]"')
        console.print(f"no pictures: {missing}")
        return 0
    return len(draw(report, out))
