"""``recserve models measure``: what bundles cost on this class of node, and how good they are."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import click
from rich.console import Console

from cloud_agent.center.catalogue.file import (
    CatalogueFile,
    node_class_of,
    read_catalogue,
    write_catalogue,
)
from experiments.grid import print_grid
from experiments.plots.catalogue import draw_catalogue
from experiments.plots.style import save
from experiments.profiling.bundle_cost import measure_bundle, to_grid
from experiments.profiling.profile import check_place
from shared.cli import clear_errors


@click.command("measure", help="Measure what bundles cost on this node and how good they are.")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(file_okay=False))
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="KIND=FILE[:COLUMN]",
    help="Labelled rows to grade answers on; the bundle's own word if none is given.",
)
@click.option("--jobs", default="", help="File of jobs with references to grade answers on.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=500, show_default=True, help="Of a set."
)
@click.option("--rounds", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--node-class", help="Class of this node; made of processor and cores if not given.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("catalogue.json"),
    show_default=True,
    help="File to write, or to add to.",
)
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), help="Draw it there.")
def command(
    bundles: tuple[str, ...],
    sets: tuple[str, ...],
    jobs: str,
    rows: int,
    rounds: int,
    threads: int,
    node_class: str | None,
    out: Path,
    pictures: Path | None,
) -> None:
    """Measure each bundle in a process of its own, and add it to the file."""
    console = Console()
    with clear_errors(), console.status("measuring ...") as status:
        check_place(out)
        known = read_catalogue(out) if out.exists() else CatalogueFile()
        name = node_class or node_class_of(platform.machine(), os.cpu_count() or 1)
        for bundle in bundles:
            status.update(f"measuring {bundle}")
            known = known.with_model(
                measure_bundle(bundle, name, sets, jobs, rows, rounds, threads)
            )
        write_catalogue(out, known)
        drawn = save(draw_catalogue(known), pictures / "catalogue") if pictures else []
    print_grid(console, to_grid(known))
    console.print(f"Written: {out}" + (f", {drawn[0]}" if drawn else ""))
